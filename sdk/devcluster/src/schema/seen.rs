//! What rules see of a value. Only what they use of it is made a value of CEL.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use cel::Value as Cel;
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::objects::Key;
use serde_json::Value;

use super::tree::{Schema, Type};

/// What expressions use of a value.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Whether all of it.
    whole: bool,
    /// Otherwise these fields of it; of one of which nothing is used is only asked whether it is there.
    fields: BTreeMap<String, Uses>,
}

static WHOLE: Uses = Uses { whole: true, fields: BTreeMap::new() };
static ANY: LazyLock<Schema> = LazyLock::new(Schema::any);

impl Uses {
    /// Adds what an expression uses of a variable.
    pub(super) fn add(&mut self, variable: &str, expression: &IdedExpr) {
        match &expression.expr {
            Expr::Ident(name) => self.whole |= name == variable,
            Expr::Select(select) => match self.place(variable, &select.operand) {
                Some(operand) => {
                    operand.fields.entry(select.field.clone()).or_default().whole |= !select.test;
                }
                None => self.add(variable, &select.operand),
            },
            Expr::Call(call) => {
                call.target.iter().for_each(|target| self.add(variable, target));
                call.args.iter().for_each(|argument| self.add(variable, argument));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.add(variable, element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.add_entry(variable, &entry.expr)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.add_entry(variable, &entry.expr)),
            Expr::Comprehension(all) => {
                for part in [&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result] {
                    self.add(variable, part);
                }
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn add_entry(&mut self, variable: &str, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.add(variable, &field.value),
            EntryExpr::MapEntry(entry) => {
                self.add(variable, &entry.key);
                self.add(variable, &entry.value);
            }
        }
    }

    /// Returns what is used of what a chain of fields leads to that begins with the variable; none if it is no such chain.
    fn place(&mut self, variable: &str, expression: &IdedExpr) -> Option<&mut Self> {
        match &expression.expr {
            Expr::Ident(name) if name == variable => Some(self),
            Expr::Select(select) if !select.test => {
                let operand = self.place(variable, &select.operand)?;
                Some(operand.fields.entry(select.field.clone()).or_default())
            }
            _ => None,
        }
    }

    /// Returns what is used of a field, if it is used.
    fn field(&self, name: &str) -> Option<&Self> {
        if self.whole { Some(self) } else { self.fields.get(name) }
    }
}

/// Returns a value as rules see it that use this of it.
pub(super) fn to_cel(schema: &Schema, value: &Value, is_root: bool, uses: &Uses) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if schema.type_ != Type::Number => Cel::Int(whole),
            _ => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::Array(items) => {
            let inner = schema.items.as_deref().unwrap_or(&ANY);
            Cel::List(Arc::new(items.iter().map(|item| to_cel(inner, item, false, &WHOLE)).collect()))
        }
        Value::Object(fields) => {
            let shown = fields.iter().filter_map(|(name, value)| {
                let escaped = if schema.additional.is_some() { Some(name.clone()) } else { escaped(name) }?;
                let uses = uses.field(&escaped)?;
                let inner = match schema.field(name) {
                    _ if is_root && name == "metadata" => return Some((escaped, named(value))),
                    Some(inner) => inner,
                    None if schema.preserve_unknown || is_root || schema.embedded => &ANY,
                    None => return None,
                };
                Some((escaped, to_cel(inner, value, false, uses)))
            });
            map(shown)
        }
    }
}

fn map(entries: impl Iterator<Item = (String, Cel)>) -> Cel {
    let entries: HashMap<Key, Cel> = entries.map(|(name, value)| (Key::from(name), value)).collect();
    entries.into()
}

/// Returns of an object's metadata what a rule sees.
fn named(metadata: &Value) -> Cel {
    let of = |name: &str| Some((name.to_owned(), Cel::from(metadata.get(name)?.as_str()?)));
    map(["name", "generateName"].into_iter().filter_map(of))
}

/// Returns the name by which a rule knows a field, if it can.
fn escaped(name: &str) -> Option<String> {
    const RESERVED: [&str; 18] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
    ];
    if is_word(name) && !name.contains("__") {
        return Some(if RESERVED.contains(&name) { format!("__{name}__") } else { name.to_owned() });
    }
    if !name.starts_with(|c: char| !c.is_ascii_digit())
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/'))
    {
        return None;
    }
    Some(
        name.replace("__", "__underscores__")
            .replace('.', "__dot__")
            .replace('-', "__dash__")
            .replace('/', "__slash__"),
    )
}

/// Whether a name is made of letters, digits and underscores, and begins with no digit.
fn is_word(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use cel::Env;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_used_of_a_value_is_seen() {
        let schema = Schema::any();
        let value = json!({"a": {"b": 1, "c": {"d": 2}}, "e": {"f": 3}, "g": 4, "list": [{"x": 1, "y": 2}]});
        let seen = |source: &str| {
            let mut uses = Uses::default();
            uses.add("self", Env::stdlib().compile(source).expect("a rule").expression());
            to_cel(&schema, &value, false, &uses).json().expect("JSON")
        };
        assert_eq!(seen("self.a.b > 0 && has(self.e)"), json!({"a": {"b": 1}, "e": {}}));
        assert_eq!(seen("has(self.a.c.d) && has(self.none.x)"), json!({"a": {"c": {"d": 2}}}));
        assert_eq!(seen("size(self.a) == 1 || self.a.b == 2"), json!({"a": value["a"]}));
        assert_eq!(seen("self.list.all(one, one.x == self.g)"), json!({"list": value["list"], "g": 4}));
        assert_eq!(seen("self['g'] == 4"), value);
        assert_eq!(seen("{'k': [self]}['k'][0].g == 4"), value);
        assert_eq!(seen("oldSelf.a == 1"), json!({}));
    }

    #[test]
    fn names_that_are_no_words_are_escaped() {
        let names = ["a", "c-d", "namespace", "a__b", "a.b/c", "1a", "ä"]
            .map(|name| escaped(name).unwrap_or_default());
        assert_eq!(
            names,
            ["a", "c__dash__d", "__namespace__", "a__underscores__b", "a__dot__b__slash__c", "", ""]
        );
    }
}
