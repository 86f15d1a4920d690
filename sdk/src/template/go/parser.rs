//! Parsing. It refuses every template that Go refuses, even if the faulty part is never executed: unknown functions
//! and variables, blocks without an end, malformed literals.

use std::collections::BTreeMap;

use super::ast::{Branch, MAIN, Node, Sight, Tree};
use super::lexer::{self, Flaw, Kind, Word};
use super::quote::unquote;
use super::value::Text;

/// Parses `source`. Blocks, parentheses and `else if` may nest `depth` deep.
pub(super) fn parse(source: &str, depth: usize) -> Result<Tree<'_>, Flaw> {
    let words = lexer::words(source)?;
    let mut parser = Parser {
        words,
        next: 0,
        level: 0,
        depth,
        ranges: 0,
        variables: vec!["$"],
        tree: Tree { main: None, templates: BTreeMap::new(), mutates: false, application: Sight::default() },
    };
    parser.main()?;
    Ok(parser.tree)
}

pub(super) struct Parser<'s> {
    words: Vec<Word<'s>>,
    pub(super) next: usize,
    level: usize,
    depth: usize,
    ranges: usize,
    pub(super) variables: Vec<&'s str>,
    pub(super) tree: Tree<'s>,
}

/// The end of a list of nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Else,
}

/// A node, or the end of a list.
enum Item<'s> {
    Node(Node<'s>),
    Stop(Stop, usize),
}

impl<'s> Parser<'s> {
    pub(super) fn peek(&self) -> Word<'s> {
        // The last word is `Kind::End`, and the parser never goes past it.
        self.words[self.next.min(self.words.len() - 1)]
    }

    pub(super) fn kind(&self) -> Kind {
        self.words.get(self.next).map_or(Kind::End, |word| word.kind)
    }

    pub(super) fn take(&mut self) -> Word<'s> {
        let word = self.peek();
        self.next += 1;
        word
    }

    pub(super) fn skip_space(&mut self) {
        if self.kind() == Kind::Space {
            self.next += 1;
        }
    }

    pub(super) fn take_word(&mut self) -> Word<'s> {
        self.skip_space();
        self.take()
    }

    pub(super) fn peek_word(&mut self) -> Word<'s> {
        self.skip_space();
        self.peek()
    }

    fn is_keyword(word: Word<'_>, keyword: &str) -> bool {
        word.kind == Kind::Keyword && word.text == keyword
    }

    pub(super) fn flaw<T>(word: Word<'_>, cause: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw { at: word.at, cause: cause.into() })
    }

    pub(super) fn unexpected<T>(word: Word<'_>, place: &str) -> Result<T, Flaw> {
        match word.kind {
            Kind::End => Self::flaw(word, format!("the template ends too early, in {place}")),
            _ => Self::flaw(word, format!("unexpected {:?} in {place}", word.text)),
        }
    }

    fn expect_close(&mut self, place: &str) -> Result<Word<'s>, Flaw> {
        let word = self.take_word();
        if word.kind == Kind::Close { Ok(word) } else { Self::unexpected(word, place) }
    }

    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
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
        while self.kind() != Kind::End {
            let start = self.next;
            if self.kind() == Kind::Open {
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
        if self.tree.templates.contains_key(MAIN) {
            let end = self.peek();
            return self.add(Text::from(MAIN), nodes, end);
        }
        self.tree.main = Some(nodes);
        Ok(())
    }

    /// Adds a template. Of two with the same name only one may have content.
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

    pub(super) fn string(word: Word<'_>) -> Result<Text, Flaw> {
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

    /// Parses the body of `define` or `block`, which cannot use variables from outside.
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

    /// Parses nodes up to an `end` or `else`.
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
                // The block of this `else` reads the words after it.
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
}
