//! What an expression is made of, and the words of the API server for one that fails.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError, Program, Value as Cel};

/// Returns all parts of a program, each before what is in it.
fn parts(program: &Program) -> Vec<&IdedExpr> {
    let (mut all, mut left) = (Vec::new(), vec![program.expression()]);
    while let Some(expression) = left.pop() {
        all.push(expression);
        match &expression.expr {
            Expr::Call(call) => {
                left.extend(call.target.as_deref());
                left.extend(&call.args);
            }
            Expr::Comprehension(all) => {
                left.extend([&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result]);
            }
            Expr::List(list) => left.extend(&list.elements),
            Expr::Select(select) => left.push(&select.operand),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        left.extend([&entry.key, &entry.value]);
                    }
                }
            }
            _ => {}
        }
    }
    all
}

/// Returns the names that macros of a program bind.
pub(in crate::admission) fn bound(program: &Program) -> BTreeSet<String> {
    let names = parts(program).into_iter().filter_map(|part| match &part.expr {
        Expr::Comprehension(all) => Some([all.iter_var.clone(), all.accu_var.clone()]),
        _ => None,
    });
    names.flatten().collect()
}

/// Returns the words of the API server for an expression that fails.
pub(super) fn of(error: &ExecutionError, program: &Program, context: &Context<'_, '_>) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("no such key: {name}"),
        ExecutionError::IndexOutOfBounds(Cel::Int(at)) => format!("index out of bounds: {at}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::FunctionError { function, .. }
            if matches!(function.as_str(), "int" | "uint" | "double" | "bool") =>
        {
            format!("type conversion error from 'string' to '{function}'")
        }
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::UnexpectedType { got, want } if want == "iterable" => {
            let (first, rest) = got.split_at_checked(1).unwrap_or_default();
            format!("got 'types.{}{rest}', expected iterable type", first.to_uppercase())
        }
        ExecutionError::NoSuchOverload(overload) => match (overload.function(), overload.argument_types()) {
            ("_._", _) => {
                let field = missing_field(program, context);
                field.map_or_else(|| "no such overload".to_owned(), |name| format!("no such key: {name}"))
            }
            ("_[_]", [list, index]) if list == "list" => format!("unsupported index type '{index}' in list"),
            ("size", _) => "no such overload: size".to_owned(),
            _ => "no such overload".to_owned(),
        },
        ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnexpectedType { .. } => "no such overload".to_owned(),
        other => other.to_string(),
    }
}

/// Returns the field that was taken of what has no fields: to the API server it is a key that is not there. The library does not say
/// which; so the parts that can be evaluated alone are looked at, and if none is it, the last field.
fn missing_field(program: &Program, context: &Context<'_, '_>) -> Option<String> {
    let selects = parts(program).into_iter().rev().filter_map(|part| match &part.expr {
        Expr::Select(select) if !select.test => Some(select),
        _ => None,
    });
    let mut last = None;
    for select in selects {
        match context.resolve(&select.operand) {
            Ok(Cel::Map(_) | Cel::Opaque(_) | Cel::Struct(_)) => {}
            Ok(_) => return Some(select.field.clone()),
            Err(_) => last = last.or_else(|| Some(select.field.clone())),
        }
    }
    last
}
