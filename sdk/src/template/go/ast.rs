//! A template after parsing.

use std::collections::BTreeMap;

use super::funcs::Function;
use super::number::Number;
use super::value::Text;

/// A template with all that it defines.
#[derive(Debug)]
pub(super) struct Tree<'s> {
    /// By name; the string itself is [`MAIN`].
    pub(super) templates: BTreeMap<Text, Vec<Node<'s>>>,
    /// A function in it changes maps in place.
    pub(super) mutates: bool,
}

/// The name of the template that is the string itself.
pub(super) const MAIN: &[u8] = b"this";

#[derive(Debug)]
pub(super) enum Node<'s> {
    Text(&'s str),
    Action(Pipe<'s>),
    If(Branch<'s>),
    With(Branch<'s>),
    Range(Branch<'s>),
    Template { at: usize, name: Text, pipe: Option<Pipe<'s>> },
    Break,
    Continue,
}

/// `if`, `with` or `range`, with its bodies.
#[derive(Debug)]
pub(super) struct Branch<'s> {
    pub(super) at: usize,
    pub(super) pipe: Pipe<'s>,
    pub(super) body: Vec<Node<'s>>,
    pub(super) otherwise: Option<Vec<Node<'s>>>,
}

/// Commands, each of which hands its value to the next, and the variables that take the last one.
#[derive(Debug)]
pub(super) struct Pipe<'s> {
    pub(super) at: usize,
    /// Behind the last byte.
    pub(super) end: usize,
    pub(super) variables: Vec<&'s str>,
    /// The variables are there already.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command<'s>>,
}

/// A value, or a function and its arguments. Never empty.
#[derive(Debug)]
pub(super) struct Command<'s> {
    pub(super) operand: Operand<'s>,
    pub(super) arguments: Vec<Operand<'s>>,
}

/// A part of a command.
#[derive(Debug)]
pub(super) struct Operand<'s> {
    pub(super) at: usize,
    pub(super) term: Term<'s>,
    /// The names that follow: `.a.b` is [`Term::Dot`] with two.
    pub(super) fields: Vec<&'s str>,
}

#[derive(Debug)]
pub(super) enum Term<'s> {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Str(Text),
    Variable(&'s str),
    Call(&'static Function),
    Pipe(Pipe<'s>),
}
