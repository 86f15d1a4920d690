//! From words to a tree. What Go refuses here is refused here, whether or not it would ever be executed: unknown
//! functions and variables, blocks without an end, malformed literals.

use std::collections::HashMap;

use super::ast::{Branch, Command, MAIN, Node, Operand, Pipe, Term, Tree};
use super::funcs;
use super::lexer::{self, Flaw, Kind, Word};
use super::number;
use super::quote::unquote;
use super::value::Text;

/// Parses `source`; blocks, parentheses and `else if` may nest `depth` deep.
pub(super) fn parse(source: &str, depth: usize) -> Result<Tree<'_>, Flaw> {
    let words = lexer::words(source)?;
    let mut parser = Parser {
        words,
        next: 0,
        level: 0,
        depth,
        ranges: 0,
        variables: vec!["$"],
        tree: Tree { templates: HashMap::new(), mutates: false },
    };
    parser.main()?;
    Ok(parser.tree)
}

struct Parser<'s> {
    words: Vec<Word<'s>>,
    next: usize,
    level: usize,
    depth: usize,
    ranges: usize,
    variables: Vec<&'s str>,
    tree: Tree<'s>,
}

/// What ends a list of nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Else,
}

/// A node, or the end of a list of them.
enum Item<'s> {
    Node(Node<'s>),
    Stop(Stop, usize),
}

impl<'s> Parser<'s> {
    fn peek(&self) -> Word<'s> {
        // The last word is `Kind::End`, which is never passed.
        self.words[self.next.min(self.words.len() - 1)]
    }

    fn take(&mut self) -> Word<'s> {
        let word = self.peek();
        self.next += 1;
        word
    }

    fn skip_space(&mut self) {
        if self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn take_word(&mut self) -> Word<'s> {
        self.skip_space();
        self.take()
    }

    fn peek_word(&mut self) -> Word<'s> {
        self.skip_space();
        self.peek()
    }

    fn is_keyword(word: Word<'_>, keyword: &str) -> bool {
        word.kind == Kind::Keyword && word.text == keyword
    }

    fn flaw<T>(word: Word<'_>, cause: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw { at: word.at, cause: cause.into() })
    }

    fn unexpected<T>(word: Word<'_>, place: &str) -> Result<T, Flaw> {
        match word.kind {
            Kind::End => Self::flaw(word, format!("the template ends too early, in {place}")),
            _ => Self::flaw(word, format!("unexpected {:?} in {place}", word.text)),
        }
    }

    fn expect_close(&mut self, place: &str) -> Result<Word<'s>, Flaw> {
        let word = self.take_word();
        if word.kind == Kind::Close { Ok(word) } else { Self::unexpected(word, place) }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        if self.level >= self.depth {
            return Self::flaw(
                self.peek(),
                format!("blocks and parentheses nest more than {} deep", self.depth),
            );
        }
        self.level += 1;
        let result = parse(self);
        self.level -= 1;
        result
    }

    fn main(&mut self) -> Result<(), Flaw> {
        let mut nodes = Vec::new();
        while self.peek().kind != Kind::End {
            let start = self.next;
            if self.peek().kind == Kind::Open {
                self.take();
                if Self::is_keyword(self.take_word(), "define") {
                    self.define()?;
                    continue;
                }
                self.next = start;
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Stop(Stop::End, at) => {
                    return Err(Flaw { at, cause: "there is no block that this end could end".into() });
                }
                Item::Stop(Stop::Else, at) => {
                    return Err(Flaw { at, cause: "there is no block that this else belongs to".into() });
                }
            }
        }
        let end = self.peek();
        self.add(Text::from(MAIN), nodes, end)
    }

    /// Keeps a template. Of two with one name, only one may have content.
    fn add(&mut self, name: Text, nodes: Vec<Node<'s>>, word: Word<'s>) -> Result<(), Flaw> {
        let is_empty = |nodes: &[Node<'_>]| {
            nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
        };
        match self.tree.templates.get(&name) {
            Some(other) if !is_empty(other) => {
                if is_empty(&nodes) {
                    return Ok(());
                }
                Self::flaw(
                    word,
                    format!("the template {:?} is defined twice", String::from_utf8_lossy(&name)),
                )
            }
            _ => {
                self.tree.templates.insert(name, nodes);
                Ok(())
            }
        }
    }

    fn template_name(&mut self, place: &str) -> Result<Text, Flaw> {
        let word = self.take_word();
        if word.kind != Kind::String {
            return Self::unexpected(word, place);
        }
        Self::string(word)
    }

    fn string(word: Word<'_>) -> Result<Text, Flaw> {
        match unquote(word.text) {
            Some(text) => Ok(text),
            None => Self::flaw(word, format!("{} has an escape that is not one of Go's", word.text)),
        }
    }

    fn define(&mut self) -> Result<(), Flaw> {
        let word = self.peek_word();
        let name = self.template_name("define")?;
        self.expect_close("define")?;
        let nodes = self.own_body("define")?;
        self.add(name, nodes, word)
    }

    /// The body of `define` or `block`, which sees no variables of its surroundings.
    fn own_body(&mut self, place: &str) -> Result<Vec<Node<'s>>, Flaw> {
        let variables = std::mem::replace(&mut self.variables, vec!["$"]);
        let ranges = std::mem::take(&mut self.ranges);
        let body = self.deeper(Self::list);
        self.variables = variables;
        self.ranges = ranges;
        match body? {
            (nodes, Stop::End, _) => Ok(nodes),
            (_, Stop::Else, at) => Err(Flaw { at, cause: format!("a {place} has no else") }),
        }
    }

    /// Nodes up to an `end` or `else`.
    fn list(&mut self) -> Result<(Vec<Node<'s>>, Stop, usize), Flaw> {
        let mut nodes = Vec::new();
        loop {
            let word = self.peek_word();
            if word.kind == Kind::End {
                return Self::flaw(word, "a block is not ended by {{ end }}");
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Stop(stop, at) => return Ok((nodes, stop, at)),
            }
        }
    }

    fn item(&mut self) -> Result<Item<'s>, Flaw> {
        let word = self.take_word();
        match word.kind {
            Kind::Text => Ok(Item::Node(Node::Text(word.text))),
            Kind::Open => self.action(),
            _ => Self::unexpected(word, "text"),
        }
    }

    fn action(&mut self) -> Result<Item<'s>, Flaw> {
        let start = self.next;
        let word = self.take_word();
        let keyword = if word.kind == Kind::Keyword { word.text } else { "" };
        Ok(Item::Node(match keyword {
            "if" => Node::If(self.branch("if", word.at)?),
            "with" => Node::With(self.branch("with", word.at)?),
            "range" => Node::Range(self.branch("range", word.at)?),
            "template" => {
                let name = self.template_name("template")?;
                let pipe = match self.peek_word().kind {
                    Kind::Close => {
                        self.take();
                        None
                    }
                    _ => Some(self.pipe("template", Kind::Close)?),
                };
                Node::Template { at: word.at, name, pipe }
            }
            "block" => {
                let at = self.peek_word();
                let name = self.template_name("block")?;
                let pipe = self.pipe("block", Kind::Close)?;
                let nodes = self.own_body("block")?;
                self.add(name.clone(), nodes, at)?;
                Node::Template { at: word.at, name, pipe: Some(pipe) }
            }
            "break" | "continue" => {
                self.expect_close(keyword)?;
                if self.ranges == 0 {
                    return Self::flaw(word, format!("{keyword} stands outside of range"));
                }
                if keyword == "break" { Node::Break } else { Node::Continue }
            }
            "end" => {
                self.expect_close("end")?;
                return Ok(Item::Stop(Stop::End, word.at));
            }
            "else" => {
                // What follows is read by the block that the else belongs to.
                let next = self.peek_word();
                if !Self::is_keyword(next, "if") && !Self::is_keyword(next, "with") {
                    self.expect_close("else")?;
                }
                return Ok(Item::Stop(Stop::Else, word.at));
            }
            _ => {
                self.next = start;
                Node::Action(self.pipe("an action", Kind::Close)?)
            }
        }))
    }

    fn branch(&mut self, keyword: &'static str, at: usize) -> Result<Branch<'s>, Flaw> {
        let variables = self.variables.len();
        let branch = self.deeper(|parser| parser.branch_inside(keyword, at));
        self.variables.truncate(variables);
        branch
    }

    fn branch_inside(&mut self, keyword: &'static str, at: usize) -> Result<Branch<'s>, Flaw> {
        let pipe = self.pipe(keyword, Kind::Close)?;
        let range = usize::from(keyword == "range");
        self.ranges += range;
        let (body, stop, _) = self.list()?;
        self.ranges -= range;
        if stop == Stop::End {
            return Ok(Branch { at, pipe, body, otherwise: None });
        }
        let next = self.peek();
        let otherwise = if keyword != "range" && Self::is_keyword(next, keyword) {
            self.take();
            let nested = self.branch(keyword, next.at)?;
            vec![if keyword == "if" { Node::If(nested) } else { Node::With(nested) }]
        } else {
            match self.list()? {
                (nodes, Stop::End, _) => nodes,
                (_, Stop::Else, at) => return Err(Flaw { at, cause: "there is an else already".into() }),
            }
        };
        Ok(Branch { at, pipe, body, otherwise: Some(otherwise) })
    }

    fn pipe(&mut self, place: &str, end: Kind) -> Result<Pipe<'s>, Flaw> {
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

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
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
        if self.peek().kind == Kind::Field {
            let constant = matches!(term, Term::Bool(_) | Term::Nil | Term::Number(_) | Term::Str(_));
            if constant || (matches!(term, Term::Dot) && fields.is_empty()) {
                return Self::flaw(self.peek(), format!("{} has no fields", word.text));
            }
            while self.peek().kind == Kind::Field {
                fields.push(&self.take().text[1..]);
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
