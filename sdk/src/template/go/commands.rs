//! Parsing of pipes: variables, commands and operands.

use super::APPLICATION;
use super::ast::{Command, Operand, Pipe, Term};
use super::funcs;
use super::lexer::{Flaw, Kind};
use super::number;
use super::parser::Parser;

impl<'s> Parser<'s> {
    pub(super) fn pipe(&mut self, place: &str, end: Kind) -> Result<Pipe<'s>, Flaw> {
        let at = self.peek_word().at;
        let mut pipe = Pipe { at, end: at, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(place, &mut pipe)?;
        loop {
            let word = self.take_word();
            match word.kind {
                kind if kind == end => {
                    pipe.end = word.at;
                    break;
                }
                Kind::Bool
                | Kind::Character
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::String
                | Kind::Variable
                | Kind::OpenParen => {
                    self.next -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return Self::unexpected(word, place),
            }
        }
        let Some((_, piped)) = pipe.commands.split_first() else {
            return Err(Flaw { at: pipe.end, cause: format!("{place} has no value") });
        };
        for command in piped {
            let operand = &command.operand;
            let constant = matches!(operand.term, Term::Bool(_) | Term::Nil | Term::Number(_) | Term::Str(_));
            if constant || (matches!(operand.term, Term::Dot) && operand.fields.is_empty()) {
                return Err(Flaw { at: operand.at, cause: "only a function can follow a |".into() });
            }
        }
        Ok(pipe)
    }

    /// Parses `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declarations(&mut self, place: &str, pipe: &mut Pipe<'s>) -> Result<(), Flaw> {
        loop {
            let start = self.next;
            let variable = self.peek_word();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.take();
            let next = self.peek_word();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.take();
                    pipe.assigns = next.kind == Kind::Assign;
                    pipe.variables.push(variable.text);
                    self.variables.push(variable.text);
                    return Ok(());
                }
                Kind::Comma => {
                    self.take();
                    pipe.variables.push(variable.text);
                    self.variables.push(variable.text);
                    if place != "range" || pipe.variables.len() > 1 {
                        return Self::flaw(next, format!("{place} declares too many variables"));
                    }
                    let next = self.peek_word();
                    if !matches!(next.kind, Kind::Variable | Kind::Close | Kind::CloseParen) {
                        return Self::flaw(next, "only a variable can follow the comma");
                    }
                }
                _ => {
                    self.next = start;
                    return Ok(());
                }
            }
        }
    }

    fn command(&mut self) -> Result<Command<'s>, Flaw> {
        let first = self.peek_word();
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let word = self.take();
            match word.kind {
                Kind::Space => {}
                Kind::Close | Kind::CloseParen => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return Self::unexpected(word, "a command"),
            }
        }
        let mut operands = operands.into_iter();
        match operands.next() {
            Some(operand) => Ok(Command { operand, arguments: operands.collect() }),
            None => Self::unexpected(first, "a command"),
        }
    }

    fn operand(&mut self) -> Result<Option<Operand<'s>>, Flaw> {
        let word = self.peek();
        let Some((term, mut fields)) = self.term()? else { return Ok(None) };
        if self.kind() == Kind::Field {
            let constant = matches!(term, Term::Bool(_) | Term::Nil | Term::Number(_) | Term::Str(_));
            if constant || (matches!(term, Term::Dot) && fields.is_empty()) {
                return Self::flaw(self.peek(), format!("{} has no fields", word.text));
            }
            while self.kind() == Kind::Field {
                fields.push(&self.take().text[1..]);
            }
        }
        let whole = fields.is_empty() && matches!(term, Term::Dot | Term::Variable(_));
        let sight = &mut self.tree.application;
        sight.whole |= whole;
        if let Some(place) = fields.iter().position(|field| *field == APPLICATION) {
            match fields.get(place + 1) {
                Some(field) => sight.fields.push(field),
                None => sight.whole = true,
            }
        }
        Ok(Some(Operand { at: word.at, term, fields }))
    }

    fn term(&mut self) -> Result<Option<(Term<'s>, Vec<&'s str>)>, Flaw> {
        let word = self.take_word();
        let term = match word.kind {
            Kind::Identifier => match funcs::find(word.text) {
                Ok(function) => {
                    self.tree.mutates |= matches!(function.name, "set" | "unset");
                    Term::Call(function)
                }
                Err(cause) => return Self::flaw(word, cause),
            },
            Kind::Dot => Term::Dot,
            Kind::Field => return Ok(Some((Term::Dot, vec![&word.text[1..]]))),
            Kind::Nil => Term::Nil,
            Kind::Bool => Term::Bool(word.text == "true"),
            Kind::Variable if self.variables.contains(&word.text) => Term::Variable(word.text),
            Kind::Variable => return Self::flaw(word, format!("the variable {} is not defined", word.text)),
            Kind::Number | Kind::Character | Kind::Complex => match number::parse(word.text) {
                Ok(number) => Term::Number(number),
                Err(cause) => return Self::flaw(word, cause),
            },
            Kind::String => Term::Str(Self::string(word)?),
            Kind::OpenParen => {
                Term::Pipe(self.deeper(|parser| parser.pipe("parentheses", Kind::CloseParen))?)
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some((term, Vec::new())))
    }
}
