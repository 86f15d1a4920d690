//! Execution of a parsed template: blocks, variables and output.

use std::rc::Rc;

use super::super::meter::Meter;
use super::super::roots::Roots;
use super::ast::{Branch, MAIN, Node, Pipe, Tree};
use super::funcs::Env;
use super::lexer::Flaw;
use super::printf;
use super::value::{Map, Value};

/// The output of a template.
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    /// Ranges of the source: the actions that printed `<no value>`.
    pub(super) without_value: Vec<(usize, usize)>,
    /// Offset and name of the keys that the context was asked for and that no context has.
    pub(super) strays: Vec<(usize, String)>,
}

/// Most keys that no context has which are remembered: a loop may ask again and again.
const STRAYS: usize = 100;

/// Executes `tree` on `data`. `now` is the time at which the run began.
pub(super) fn execute<'s>(
    tree: &Tree<'s>,
    data: Value,
    roots: &Roots,
    now: i64,
    meter: &Meter,
) -> Result<Output, Flaw> {
    let mut executor = Executor {
        tree,
        root: data.clone(),
        roots,
        env: Env { meter, now },
        variables: vec![("$", data.clone())],
        level: 0,
        output: Output { bytes: Vec::new(), without_value: Vec::new(), strays: Vec::new() },
    };
    if let Some(nodes) = tree.get(MAIN) {
        executor.nodes(nodes, &data)?;
    }
    Ok(executor.output)
}

pub(super) struct Executor<'t, 's, 'm> {
    tree: &'t Tree<'s>,
    root: Value,
    roots: &'t Roots,
    pub(super) env: Env<'m>,
    pub(super) variables: Vec<(&'s str, Value)>,
    level: usize,
    output: Output,
}

/// Where execution continues.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'s> Executor<'_, 's, '_> {
    pub(super) fn flaw<T>(at: usize, cause: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw { at, cause: cause.into() })
    }

    pub(super) fn step(&self, at: usize) -> Result<(), Flaw> {
        self.env.meter.spend(1).map_err(|cause| Flaw { at, cause })
    }

    /// Enters a block, parentheses or another template.
    pub(super) fn deeper<T>(
        &mut self,
        at: usize,
        run: impl FnOnce(&mut Self) -> Result<T, Flaw>,
    ) -> Result<T, Flaw> {
        let most = self.env.meter.bounds().depth;
        if self.level >= most {
            return Self::flaw(
                at,
                format!("blocks and templates nest more than {most} deep; does a template call itself?"),
            );
        }
        self.level += 1;
        let result = run(self);
        self.level -= 1;
        result
    }

    /// Notes that a map was asked for a key that it lacks, if it is the context and no context has the key.
    pub(super) fn lacks(&mut self, at: usize, map: &Rc<Map>, key: &str) {
        let is_root = matches!(&self.root, Value::Map(root) if Rc::ptr_eq(root, map));
        let known = self.output.strays.iter().any(|(place, name)| *place == at && name == key);
        if is_root && !self.roots.has(key) && !known && self.output.strays.len() < STRAYS {
            self.output.strays.push((at, key.to_owned()));
        }
    }

    fn nodes(&mut self, nodes: &[Node<'s>], dot: &Value) -> Result<Flow, Flaw> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node<'s>, dot: &Value) -> Result<Flow, Flaw> {
        match node {
            Node::Text(text) => self.write(0, text.as_bytes())?,
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.print(pipe, &value)?;
                }
            }
            Node::If(branch) => return self.choose(branch, dot, false),
            Node::With(branch) => return self.choose(branch, dot, true),
            Node::Range(branch) => return self.deeper(branch.at, |executor| executor.range(branch, dot)),
            Node::Template { at, name, pipe } => {
                let Some(nodes) = self.tree.get(name) else {
                    let name = String::from_utf8_lossy(name);
                    return Self::flaw(*at, format!("the template {name:?} is not defined"));
                };
                let dot = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Missing,
                };
                let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
                let result = self.deeper(*at, |executor| executor.nodes(nodes, &dot));
                self.variables = outer;
                result?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), Flaw> {
        let meter = self.env.meter;
        meter.spend(1).and_then(|()| meter.output(bytes.len())).map_err(|cause| Flaw { at, cause })?;
        self.output.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn print(&mut self, pipe: &Pipe<'s>, value: &Value) -> Result<(), Flaw> {
        match value {
            Value::Missing | Value::Nil => {
                self.output.without_value.push((pipe.at, pipe.end));
                self.write(pipe.at, b"<no value>")
            }
            Value::Str(text) => self.write(pipe.at, text),
            value => {
                let text =
                    printf::text(value, self.env.meter).map_err(|cause| Flaw { at: pipe.at, cause })?;
                self.write(pipe.at, &text)
            }
        }
    }

    /// Executes `if` and `with`. Only `with` moves the dot.
    fn choose(&mut self, branch: &Branch<'s>, dot: &Value, moves: bool) -> Result<Flow, Flaw> {
        let mark = self.variables.len();
        let flow = self.deeper(branch.at, |executor| {
            let value = executor.pipe(&branch.pipe, dot)?;
            match &branch.otherwise {
                _ if value.truth() => executor.nodes(&branch.body, if moves { &value } else { dot }),
                Some(nodes) => executor.nodes(nodes, dot),
                None => Ok(Flow::Next),
            }
        });
        self.variables.truncate(mark);
        flow
    }

    fn range(&mut self, branch: &Branch<'s>, dot: &Value) -> Result<Flow, Flaw> {
        let outer = self.variables.len();
        let flow = self.range_inside(branch, dot);
        self.variables.truncate(outer);
        flow
    }

    fn range_inside(&mut self, branch: &Branch<'s>, dot: &Value) -> Result<Flow, Flaw> {
        // The pipe first assigns its own value to the variables; the items then replace it.
        let value = self.pipe(&branch.pipe, dot)?;
        let some = match &value {
            Value::Missing | Value::Nil => false,
            Value::Int(_) | Value::Int64(_) | Value::Byte(_) if branch.pipe.variables.len() > 1 => {
                return Self::flaw(branch.at, "a range over a number has one variable, not two");
            }
            Value::Int(n) => self.items(branch, &mut (0..*n).map(|i| (Value::Missing, Value::Int(i))))?,
            Value::Int64(n) => self.items(branch, &mut (0..*n).map(|i| (Value::Missing, Value::Int64(i))))?,
            Value::Byte(n) => self.items(branch, &mut (0..*n).map(|i| (Value::Missing, Value::Byte(i))))?,
            Value::List(list) => {
                self.items(branch, &mut (0..).map(Value::Int).zip(list.items().iter().cloned()))?
            }
            Value::Map(map) => {
                // A copy, because the body may change the map.
                let entries: Vec<_> = map
                    .entries
                    .borrow()
                    .iter()
                    .map(|(key, value)| (Value::Str(key.clone()), value.clone()))
                    .collect();
                self.items(branch, &mut entries.into_iter())?
            }
            Value::Texts(map) => {
                let mut entries = map
                    .entries
                    .iter()
                    .map(|(key, value)| (Value::Str(key.clone()), Value::Str(value.clone())));
                self.items(branch, &mut entries)?
            }
            other => {
                return Self::flaw(branch.at, format!("range cannot go over a {}", other.type_name()));
            }
        };
        match &branch.otherwise {
            Some(nodes) if !some => self.nodes(nodes, dot),
            _ => Ok(Flow::Next),
        }
    }

    /// Executes the body for each item. Returns whether there was one.
    fn items(
        &mut self,
        branch: &Branch<'s>,
        items: &mut dyn Iterator<Item = (Value, Value)>,
    ) -> Result<bool, Flaw> {
        let mark = self.variables.len();
        let names = &branch.pipe.variables;
        let mut some = false;
        for (key, item) in items {
            self.step(branch.at)?;
            some = true;
            let values = if names.len() > 1 { vec![key, item.clone()] } else { vec![item.clone()] };
            for (index, (name, value)) in names.iter().zip(values).enumerate() {
                if branch.pipe.assigns {
                    self.assign(branch.pipe.at, name, value)?;
                } else {
                    self.variables[mark - names.len() + index].1 = value;
                }
            }
            let flow = self.nodes(&branch.body, &item)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(some)
    }

    pub(super) fn assign(&mut self, at: usize, name: &str, value: Value) -> Result<(), Flaw> {
        match self.variables.iter_mut().rev().find(|(other, _)| *other == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Self::flaw(at, format!("the variable {name} is not defined; declare it with :=")),
        }
    }
}
