//! Execution of a parsed template: the values of pipes, commands, fields and calls.

use super::ast::{Command, Operand, Pipe, Term};
use super::exec::Executor;
use super::funcs::{self, Function, Run, Type};
use super::lexer::Flaw;
use super::number::Ideal;
use super::value::{Map, Value};

/// The arguments of a command: its own, and the piped value as the last one.
struct Given<'a, 's> {
    operands: &'a [Operand<'s>],
    piped: Option<Value>,
}

impl Given<'_, '_> {
    const NONE: Self = Self { operands: &[], piped: None };

    fn count(&self) -> usize {
        self.operands.len() + usize::from(self.piped.is_some())
    }
}

impl<'s> Executor<'_, 's, '_> {
    pub(super) fn pipe(&mut self, pipe: &Pipe<'s>, dot: &Value) -> Result<Value, Flaw> {
        let mut piped = None;
        for command in &pipe.commands {
            piped = match self.command(command, dot, piped)? {
                // A null in a list or map stays a null; elsewhere it is missing.
                Value::Nil => Some(Value::Missing),
                value => Some(value),
            };
        }
        let value = piped.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(pipe.at, name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &Command<'s>, dot: &Value, piped: Option<Value>) -> Result<Value, Flaw> {
        let operand = &command.operand;
        self.step(operand.at)?;
        let given = Given { operands: &command.arguments, piped };
        match (&operand.term, operand.fields.as_slice()) {
            (Term::Call(function), []) => self.call(operand.at, function, given, dot),
            (_, [path @ .., last]) => {
                let mut receiver = self.base(operand, dot)?;
                for name in path {
                    receiver = self.field(operand.at, &receiver, name, Given::NONE, dot)?;
                }
                self.field(operand.at, &receiver, last, given, dot)
            }
            (_, []) if given.count() > 0 => {
                Self::flaw(operand.at, "this is not a function, so it takes no arguments")
            }
            (Term::Nil, []) => Self::flaw(operand.at, "nil alone is no value to print"),
            (_, []) => self.base(operand, dot),
        }
    }

    /// Evaluates an operand without its fields.
    fn base(&mut self, operand: &Operand<'s>, dot: &Value) -> Result<Value, Flaw> {
        Ok(match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil => Value::Missing,
            Term::Bool(b) => Value::Bool(*b),
            Term::Str(text) => Value::Str(text.clone()),
            Term::Number(number) => match number.ideal {
                Ideal::Int(n) => Value::Int(n),
                Ideal::Float(f) => Value::Float(f),
                Ideal::Overflow => return Self::flaw(operand.at, "the number is too large for an integer"),
            },
            Term::Variable(name) => match self.variables.iter().rev().find(|(other, _)| other == name) {
                Some((_, value)) => value.clone(),
                None => return Self::flaw(operand.at, format!("the variable {name} is not defined here")),
            },
            Term::Call(function) => self.call(operand.at, function, Given::NONE, dot)?,
            Term::Pipe(pipe) => self.deeper(operand.at, |executor| executor.pipe(pipe, dot))?,
        })
    }

    fn field(
        &mut self,
        at: usize,
        receiver: &Value,
        name: &str,
        given: Given<'_, 's>,
        dot: &Value,
    ) -> Result<Value, Flaw> {
        match receiver {
            Value::Missing => Ok(Value::Missing),
            Value::Nil => {
                Self::flaw(at, format!("the field {name} is asked of a null; test for it with if first"))
            }
            Value::Map(_) | Value::Texts(_) if given.count() > 0 => {
                Self::flaw(at, format!("{name} is a field, not a function, so it takes no arguments"))
            }
            Value::Map(map) => Ok(map.get(name.as_bytes()).unwrap_or_else(|| {
                self.lacks(at, map, name);
                Value::Missing
            })),
            Value::Texts(map) => {
                Ok(map.entries.get(name.as_bytes()).map_or(Value::Missing, |text| Value::Str(text.clone())))
            }
            Value::Time(_) => match funcs::method(name) {
                Some(method) => self.call_with(at, method, Some(receiver.clone()), given, dot),
                None => Self::flaw(at, format!("a time has no method {name} here; use date")),
            },
            other => Self::flaw(
                at,
                format!("the field {name} is asked of a {}, which has none", other.type_name()),
            ),
        }
    }

    fn call(
        &mut self,
        at: usize,
        function: &Function,
        given: Given<'_, 's>,
        dot: &Value,
    ) -> Result<Value, Flaw> {
        self.call_with(at, function, None, given, dot)
    }

    /// Calls `function`. A method gets its `receiver` as argument 0.
    fn call_with(
        &mut self,
        at: usize,
        function: &Function,
        receiver: Option<Value>,
        given: Given<'_, 's>,
        dot: &Value,
    ) -> Result<Value, Flaw> {
        let least = function.params.len();
        let count = given.count();
        if count < least || (count > least && function.rest.is_none()) {
            let wanted =
                if function.rest.is_some() { format!("at least {least}") } else { least.to_string() };
            return Self::flaw(at, format!("{} takes {wanted} arguments, not {count}", function.name));
        }
        let type_of =
            |index: usize| function.params.get(index).copied().or(function.rest).unwrap_or(Type::Any);
        let run = match function.run {
            Run::And => return self.short_circuit(given, dot, false),
            Run::Or => return self.short_circuit(given, dot, true),
            Run::Native(run) => run,
        };
        let mut arguments: Vec<Value> = receiver.into_iter().collect();
        for (index, operand) in given.operands.iter().enumerate() {
            arguments.push(self.argument(operand, type_of(index), function.name, dot)?);
        }
        if let Some(piped) = given.piped {
            arguments.push(fit(piped, type_of(given.operands.len())).map_err(|cause| Flaw {
                at,
                cause: format!("{}: the piped value is {cause}", function.name),
            })?);
        }
        run(&arguments, &self.env).map_err(|cause| Flaw { at, cause: format!("{}: {cause}", function.name) })
    }

    /// Evaluates `and` and `or`: the first deciding operand, or the last one. Later operands are not evaluated.
    fn short_circuit(&mut self, given: Given<'_, 's>, dot: &Value, decides: bool) -> Result<Value, Flaw> {
        let mut value = Value::Missing;
        for operand in given.operands {
            value = self.argument(operand, Type::Reflect, "and", dot)?;
            if value.truth() == decides {
                return Ok(value);
            }
        }
        Ok(given.piped.unwrap_or(value))
    }

    /// Evaluates an argument of the type `wanted`, which literals take.
    fn argument(
        &mut self,
        operand: &Operand<'s>,
        wanted: Type,
        function: &str,
        dot: &Value,
    ) -> Result<Value, Flaw> {
        self.step(operand.at)?;
        let misfit =
            |cause: String| Flaw { at: operand.at, cause: format!("{function}: the argument is {cause}") };
        match (&operand.term, wanted) {
            (Term::Nil, Type::Any | Type::Reflect | Type::AnyMap) => {
                fit(Value::Missing, wanted).map_err(misfit)
            }
            (Term::Nil, _) => Err(misfit(format!("nil, not {}", wanted.describe()))),
            (Term::Number(number), Type::Int) => match number.int {
                Some(n) => Ok(Value::Int(n)),
                None => Err(misfit("not a whole number".into())),
            },
            (Term::Number(number), Type::Float) => match number.float {
                Some(f) => Ok(Value::Float(f)),
                None => Err(misfit("not a number".into())),
            },
            _ => {
                let mut value = self.base(operand, dot)?;
                for name in &operand.fields {
                    value = self.field(operand.at, &value, name, Given::NONE, dot)?;
                }
                fit(value, wanted).map_err(misfit)
            }
        }
    }
}

/// Converts `value` to the type `wanted`, or returns the name of its own type.
fn fit(value: Value, wanted: Type) -> Result<Value, String> {
    match (&value, wanted) {
        (Value::Missing, Type::Any) => Ok(Value::Nil),
        (Value::Missing, Type::AnyMap) => Ok(Value::Map(Map::nil().into())),
        (_, Type::Any | Type::Reflect)
        | (Value::Str(_), Type::Str)
        | (Value::Bool(_), Type::Bool)
        | (Value::Int(_), Type::Int)
        | (Value::Float(_), Type::Float)
        | (Value::Map(_), Type::AnyMap)
        | (Value::Time(_), Type::Time) => Ok(value),
        (Value::Missing | Value::Nil, _) => {
            Err(format!("missing or null, not {}; give it a default", wanted.describe()))
        }
        (other, _) => {
            let hint = match (other, wanted) {
                (Value::Int64(_) | Value::Float(_), Type::Int) => "; convert it with int",
                (Value::Int(_) | Value::Int64(_), Type::Float) => "; convert it with float64",
                (_, Type::Str) => "; convert it with toString",
                (Value::Texts(_), Type::AnyMap) => "; use index",
                _ => "",
            };
            Err(format!("a {}, not {}{hint}", other.type_name(), wanted.describe()))
        }
    }
}
