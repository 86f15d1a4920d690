//! A parsed template.

use std::collections::BTreeMap;

use super::funcs::Function;
use super::number::Number;
use super::value::Text;

/// A template and the templates that it defines.
#[derive(Debug)]
pub(super) struct Tree<'s> {
    /// The string itself, unless it defines a template [`MAIN`] with content.
    pub(super) main: Option<Vec<Node<'s>>>,
    /// The templates that it defines, by name.
    pub(super) templates: BTreeMap<Text, Vec<Node<'s>>>,
    /// Whether a function in it changes maps in place.
    pub(super) mutates: bool,
    /// What it can see of the application.
    pub(super) application: Sight<'s>,
}

/// What a template can see of the application.
#[derive(Debug, Default)]
pub(super) struct Sight<'s> {
    /// Everything: it names the key alone, or the whole context may be what a `.` or a variable alone is.
    pub(super) whole: bool,
    /// Else these fields of it, with all below them.
    pub(super) fields: Vec<&'s str>,
}

impl<'s> Tree<'s> {
    /// Returns the template of this name.
    pub(super) fn get(&self, name: &[u8]) -> Option<&Vec<Node<'s>>> {
        match &self.main {
            Some(main) if name == MAIN => Some(main),
            _ => self.templates.get(name),
        }
    }
}

/// The name of the template that is the whole string.
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

/// A pipe: commands that each pass their value to the next, and the variables that receive the last value.
#[derive(Debug)]
pub(super) struct Pipe<'s> {
    pub(super) at: usize,
    /// The offset after the last byte.
    pub(super) end: usize,
    pub(super) variables: Vec<&'s str>,
    /// Whether it assigns to existing variables.
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
    /// The names after it: `.a.b` is [`Term::Dot`] with two fields.
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
