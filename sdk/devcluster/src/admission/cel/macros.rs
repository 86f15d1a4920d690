//! The macros of CEL, written so that a map is gone through in the order of its keys, and those with two variables.
//!
//! The library `cel` goes through maps in an order that changes from run to run, and has no macros of two variables.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue,
    operators::{ADD, CONDITIONAL, EQUALS, INDEX, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, NOT_STRICTLY_FALSE},
};
use cel::parser::{Macro, MacroExprHelper, ParseError};

use super::{ENTRIES, ITEMS};

/// What a macro makes of the items that it goes through.
#[derive(Clone, Copy)]
enum Fold {
    All,
    Exists,
    One,
    /// A list of what is made of each item; with the argument between, of those for which it holds.
    Map,
    Filter,
}

/// The result so far.
const RESULT: &str = "@result";
/// An entry of what is gone through by key and value.
const ENTRY: &str = "@entry";

/// Returns all macros.
pub(super) fn all() -> Vec<Macro> {
    let one = [
        ("all", 2, Fold::All),
        ("exists", 2, Fold::Exists),
        ("exists_one", 2, Fold::One),
        ("existsOne", 2, Fold::One),
        ("map", 2, Fold::Map),
        ("map", 3, Fold::Map),
        ("filter", 2, Fold::Filter),
    ];
    let two = [
        ("all", 3, Fold::All),
        ("exists", 3, Fold::Exists),
        ("existsOne", 3, Fold::One),
        ("transformList", 3, Fold::Map),
        ("transformList", 4, Fold::Map),
    ];
    let mut macros = vec![Macro::global("has", 1, |helper, _, arguments| has(helper, arguments).map(Some))];
    macros.extend(one.map(|(name, count, fold)| {
        Macro::receiver(name, count, move |helper, target, arguments| {
            expand(helper, target, arguments, fold, 1)
        })
    }));
    macros.extend(two.map(|(name, count, fold)| {
        Macro::receiver(name, count, move |helper, target, arguments| {
            expand(helper, target, arguments, fold, 2)
        })
    }));
    macros
}

fn has(helper: &mut MacroExprHelper<'_>, arguments: &mut Vec<IdedExpr>) -> Result<IdedExpr, ParseError> {
    let argument = arguments.remove(0);
    match argument.expr {
        Expr::Select(mut select) => {
            select.test = true;
            // Null has no fields; the library takes that for an error.
            let operand = IdedExpr::clone(&select.operand);
            let mut make = Maker(helper);
            let (null, no) = (make.0.next_expr(Expr::Literal(LiteralValue::Null)), make.bool(false));
            let (is_null, has) =
                (make.call(EQUALS, vec![operand, null]), make.0.next_expr(Expr::Select(select)));
            Ok(make.call(CONDITIONAL, vec![is_null, no, has]))
        }
        _ => Err(helper.new_error(argument.id, "invalid argument to has() macro")),
    }
}

/// Makes expressions.
struct Maker<'m, 'h>(&'m mut MacroExprHelper<'h>);

impl Maker<'_, '_> {
    fn name(&mut self, name: &str) -> IdedExpr {
        self.0.next_expr(Expr::Ident(name.to_owned()))
    }

    fn call(&mut self, function: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.0.next_expr(Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }))
    }

    fn bool(&mut self, value: bool) -> IdedExpr {
        self.0.next_expr(Expr::Literal(LiteralValue::Boolean(value.into())))
    }

    fn int(&mut self, value: i64) -> IdedExpr {
        self.0.next_expr(Expr::Literal(LiteralValue::Int(value.into())))
    }

    fn list(&mut self, items: Vec<IdedExpr>) -> IdedExpr {
        self.0.next_expr(Expr::List(ListExpr::new(items)))
    }

    /// An expression in which a name stands for the key (0) or the value (1) of the entry.
    fn bound(&mut self, name: &str, part: i64, result: IdedExpr) -> IdedExpr {
        let (entry, part) = (self.name(ENTRY), self.int(part));
        let (iter_range, accu_init) = (self.list(Vec::new()), self.call(INDEX, vec![entry, part]));
        let (loop_cond, loop_step) = (self.bool(false), self.name(name));
        let iter_var = "#unused".to_owned();
        let accu_var = name.to_owned();
        let bind = ComprehensionExpr {
            iter_range,
            iter_var,
            iter_var2: None,
            accu_var,
            accu_init,
            loop_cond,
            loop_step,
            result,
        };
        self.0.next_expr(Expr::Comprehension(Box::new(bind)))
    }

    /// The step that adds an item, if there is a condition only where it holds.
    fn added(&mut self, item: IdedExpr, condition: Option<IdedExpr>) -> IdedExpr {
        let (result, item) = (self.name(RESULT), self.list(vec![item]));
        let step = self.call(ADD, vec![result, item]);
        match condition {
            Some(condition) => {
                let result = self.name(RESULT);
                self.call(CONDITIONAL, vec![condition, step, result])
            }
            None => step,
        }
    }

    /// The first value of the result, the condition under which to go on, the step, and what is made of the result.
    fn parts(&mut self, fold: Fold, variable: &str, mut arguments: Vec<IdedExpr>) -> Option<[IdedExpr; 4]> {
        let last = arguments.pop()?;
        let result = self.name(RESULT);
        let so_far = self.name(RESULT);
        Some(match fold {
            Fold::All => {
                let step = self.name(RESULT);
                [
                    self.bool(true),
                    self.call(NOT_STRICTLY_FALSE, vec![so_far]),
                    self.call(LOGICAL_AND, vec![step, last]),
                    result,
                ]
            }
            Fold::Exists => {
                let not = self.call(LOGICAL_NOT, vec![so_far]);
                let step = self.name(RESULT);
                [
                    self.bool(false),
                    self.call(NOT_STRICTLY_FALSE, vec![not]),
                    self.call(LOGICAL_OR, vec![step, last]),
                    result,
                ]
            }
            Fold::One => {
                let (one, other) = (self.int(1), self.name(RESULT));
                let more = self.call(ADD, vec![so_far, one]);
                let one = self.int(1);
                let is_one = self.call(EQUALS, vec![result, one]);
                [self.int(0), self.bool(true), self.call(CONDITIONAL, vec![last, more, other]), is_one]
            }
            Fold::Map => [self.list(Vec::new()), self.bool(true), self.added(last, arguments.pop()), result],
            Fold::Filter => {
                let item = self.name(variable);
                [self.list(Vec::new()), self.bool(true), self.added(item, Some(last)), result]
            }
        })
    }
}

/// Expands a macro whose first arguments name one or two variables.
fn expand(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    arguments: &mut Vec<IdedExpr>,
    fold: Fold,
    variables: usize,
) -> Result<Option<IdedExpr>, ParseError> {
    let mut names = Vec::new();
    for argument in arguments.drain(..variables) {
        match argument.expr {
            Expr::Ident(name) => names.push(name),
            _ => return Err(helper.new_error(argument.id, "argument must be a simple name")),
        }
    }
    let (Some(range), arguments) = (target.take(), std::mem::take(arguments)) else { return Ok(None) };
    let mut make = Maker(helper);
    let (function, iter_var, arguments) = match names.as_slice() {
        [key, value] => {
            let bind = |argument: IdedExpr| {
                let inner = make.bound(value, 1, argument);
                make.bound(key, 0, inner)
            };
            (ENTRIES, ENTRY.to_owned(), arguments.into_iter().map(bind).collect())
        }
        names => (ITEMS, names.concat(), arguments),
    };
    let Some([accu_init, loop_cond, loop_step, result]) = make.parts(fold, &iter_var, arguments) else {
        return Ok(None);
    };
    let iter_range = make.call(function, vec![range]);
    let accu_var = RESULT.to_owned();
    let all = ComprehensionExpr {
        iter_range,
        iter_var,
        iter_var2: None,
        accu_var,
        accu_init,
        loop_cond,
        loop_step,
        result,
    };
    Ok(Some(helper.next_expr(Expr::Comprehension(Box::new(all)))))
}
