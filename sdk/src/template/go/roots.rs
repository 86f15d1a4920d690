//! Finds the keys that a template names at the top of its context, wherever they stand, without executing it.

use super::super::roots::Roots;
use super::ast::{Branch, Command, MAIN, Node, Operand, Pipe, Term, Tree};
use super::value::Text;

/// Returns offset and name of the keys at the top that no context has, in order.
pub(super) fn unknown<'s>(tree: &Tree<'s>, roots: &Roots) -> Vec<(usize, &'s str)> {
    // A key may be one that the template sets itself.
    if tree.mutates {
        return Vec::new();
    }
    let mut search = Search { tree, roots, found: Vec::new(), entered: Vec::new() };
    if let Some(nodes) = tree.get(MAIN) {
        search.nodes(nodes, true, true);
    }
    search.found.sort_unstable();
    search.found.dedup();
    search.found
}

struct Search<'t, 's, 'r> {
    tree: &'t Tree<'s>,
    roots: &'r Roots,
    found: Vec<(usize, &'s str)>,
    /// Named templates that were searched with the context as their dot.
    entered: Vec<&'t Text>,
}

impl<'t, 's> Search<'t, 's, '_> {
    /// Searches nodes. `dot` and `dollar` say whether these are the context there.
    fn nodes(&mut self, nodes: &'t [Node<'s>], dot: bool, dollar: bool) {
        for node in nodes {
            match node {
                Node::Text(_) | Node::Break | Node::Continue => {}
                Node::Action(pipe) => self.pipe(pipe, dot, dollar),
                Node::If(branch) => self.branch(branch, dot, dollar, dot),
                Node::With(branch) => self.branch(branch, dot, dollar, is_root(&branch.pipe, dot, dollar)),
                Node::Range(branch) => self.branch(branch, dot, dollar, false),
                Node::Template { name, pipe, .. } => {
                    let Some(pipe) = pipe else { continue };
                    self.pipe(pipe, dot, dollar);
                    if is_root(pipe, dot, dollar) && !self.entered.contains(&name) {
                        self.entered.push(name);
                        if let Some(nodes) = self.tree.get(name) {
                            self.nodes(nodes, true, true);
                        }
                    }
                }
            }
        }
    }

    fn branch(&mut self, branch: &'t Branch<'s>, dot: bool, dollar: bool, inside: bool) {
        self.pipe(&branch.pipe, dot, dollar);
        self.nodes(&branch.body, inside, dollar);
        if let Some(nodes) = &branch.otherwise {
            self.nodes(nodes, dot, dollar);
        }
    }

    fn pipe(&mut self, pipe: &Pipe<'s>, dot: bool, dollar: bool) {
        for Command { operand, arguments } in &pipe.commands {
            self.operand(operand, dot, dollar);
            for argument in arguments {
                self.operand(argument, dot, dollar);
            }
        }
    }

    fn operand(&mut self, operand: &Operand<'s>, dot: bool, dollar: bool) {
        let of_root = match &operand.term {
            Term::Dot => dot,
            Term::Variable("$") => dollar,
            Term::Pipe(pipe) => {
                self.pipe(pipe, dot, dollar);
                is_root(pipe, dot, dollar)
            }
            _ => false,
        };
        if let Some(name) = operand.fields.first().filter(|name| of_root && !self.roots.has(name)) {
            self.found.push((operand.at, *name));
        }
    }
}

/// Returns whether a pipe is the context itself: `.` or `$`.
fn is_root(pipe: &Pipe<'_>, dot: bool, dollar: bool) -> bool {
    let [Command { operand, arguments }] = pipe.commands.as_slice() else { return false };
    let of_root = match &operand.term {
        Term::Dot => dot,
        Term::Variable("$") => dollar,
        _ => false,
    };
    of_root && operand.fields.is_empty() && arguments.is_empty()
}
