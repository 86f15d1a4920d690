//! `x-kubernetes-validations`: rules of CRDs in CEL.
//!
//! The library `cel` knows no types of fields. So a text of the format `date-time`, `date`, `duration` or `byte` is a text in a
//! rule, sets and keyed lists are compared with their order, and a field that the schema lacks is noticed when a rule runs only.
//! A rule with a function that the library lacks refuses the CRD.

use std::sync::{Arc, LazyLock};

use cel::objects::OptionalValue;
use cel::{Context, Env, ExecutionError, Program, Value as Cel, extensions};
use serde_json::Value;

use super::fault::{self, child, index, key};
use super::lists;
use super::path::Path;
use super::seen::{Uses, to_cel};
use super::tree::{Schema, Type};
use super::validate::{Verdict, same};
use crate::status::Cause;

/// Functions of a rule that the library runs as the API server does.
const FUNCTIONS: [&str; 32] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bytes",
    "bool",
    "dyn",
    "type",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "reverse",
    "hasValue",
    "value",
    "orValue",
    "or",
    "optional.of",
    "optional.none",
    "optional.ofNonZeroValue",
    "format",
];

/// Longest text of a `messageExpression`, in bytes.
const LONGEST: usize = 5 * 1024;

/// The rules of one value.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// What they use of the value, and of the one before.
    of_self: Uses,
    of_old: Uses,
}

impl Rules {
    fn new(rules: Vec<Rule>) -> Self {
        let (mut of_self, mut of_old) = (Uses::default(), Uses::default());
        let messages = rules.iter().filter_map(|rule| rule.message_expression.as_ref());
        for program in rules.iter().map(|rule| &rule.program).chain(messages) {
            of_self.add("self", program.expression());
            of_old.add("oldSelf", program.expression());
        }
        Self { rules, of_self, of_old }
    }
}

#[derive(Debug)]
struct Rule {
    /// As it is named in messages.
    text: String,
    program: Program,
    message: String,
    message_expression: Option<Program>,
    reason: String,
    /// The field below that a fault names.
    field: String,
    uses_old: bool,
    optional_old: bool,
}

fn environment() -> Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib();
        // It fails for a name that is there already, and then rules with that function fail when they run.
        let _ = env.add_extension(extensions::strings);
        Arc::new(env)
    });
    Arc::clone(&ENVIRONMENT)
}

/// Compiles the rules of a schema, or says why it cannot.
pub(super) fn compile(tree: &mut Schema, raw: &Value, path: &str, faults: &mut Vec<Cause>) {
    compile_within(tree, raw, path, None, faults);
}

fn compile_within(tree: &mut Schema, raw: &Value, path: &str, loose: Option<&str>, faults: &mut Vec<Cause>) {
    if !tree.has_rules {
        return;
    }
    let rules = raw.get("x-kubernetes-validations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut compiled = Vec::new();
    for (i, rule) in rules.iter().enumerate() {
        match compile_one(tree, rule, &index(&child(path, "x-kubernetes-validations"), i), loose) {
            Ok(rule) => compiled.push(rule),
            Err(cause) => faults.push(cause),
        }
    }
    if !compiled.is_empty() {
        tree.rules = Some(Arc::new(Rules::new(compiled)));
    }
    for (name, inner) in &mut tree.properties {
        if let Some(raw) = raw.get("properties").and_then(|fields| fields.get(name)) {
            compile_within(inner, raw, &key(&child(path, "properties"), name), loose, faults);
        }
    }
    if let (Some(inner), Some(raw)) = (tree.additional.as_deref_mut(), raw.get("additionalProperties")) {
        compile_within(inner, raw, &child(path, "additionalProperties"), loose, faults);
    }
    let keyed = tree.is_keyed();
    if let (Some(inner), Some(raw)) = (tree.items.as_deref_mut(), raw.get("items")) {
        let loose = loose.or(if keyed { None } else { Some(path) });
        compile_within(inner, raw, &child(path, "items"), loose, faults);
    }
}

fn compile_one(schema: &Schema, rule: &Value, path: &str, loose: Option<&str>) -> Result<Rule, Cause> {
    let text = |word: &str| rule.get(word).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let source = text("rule");
    let program = parse(&source).map_err(|what| fault::not_modelled(child(path, "rule"), &what))?;
    let expression = text("messageExpression");
    let message_expression = if expression.is_empty() {
        None
    } else {
        Some(
            parse(&expression)
                .map_err(|what| fault::not_modelled(child(path, "messageExpression"), &what))?,
        )
    };
    let uses_old = program.references().has_variable("oldSelf");
    if let Some(loose) = loose.filter(|_| uses_old) {
        let detail =
            format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {loose}");
        return Err(fault::invalid_text(child(path, "rule"), &source, &detail));
    }
    let optional_old = rule.get("optionalOldSelf").and_then(Value::as_bool);
    if let Some(optional) = optional_old.filter(|_| !uses_old) {
        let detail = "may not be set if oldSelf is not used in rule";
        return Err(fault::invalid(child(path, "optionalOldSelf"), &optional.into(), detail));
    }
    let field = field_path(schema, &text("fieldPath")).unwrap_or_default();
    Ok(Rule {
        text: source,
        program,
        message: text("message"),
        message_expression,
        reason: text("reason"),
        field,
        uses_old,
        optional_old: optional_old.unwrap_or_default(),
    })
}

fn parse(source: &str) -> Result<Program, String> {
    let program = environment().compile(source).map_err(|error| format!("the rule {source:?}: {error}"))?;
    let is_operator = |name: &str| !name.starts_with(|c: char| c.is_ascii_alphabetic());
    let references = program.references();
    let mut functions = references.functions();
    functions.sort_unstable();
    if let Some(name) = functions.into_iter().find(|name| !is_operator(name) && !FUNCTIONS.contains(name)) {
        return Err(format!("the function {name} in the rule {source:?}"));
    }
    drop(references);
    Ok(program)
}

/// Returns a path below a value as causes name it, if the schema has it.
pub(super) fn field_path(schema: &Schema, text: &str) -> Option<String> {
    let (mut rest, mut schema, mut path) = (text, schema, String::new());
    while !rest.is_empty() {
        let name;
        if let Some(quoted) = rest.strip_prefix("['") {
            let end = quoted.find("']")?;
            (name, rest) = (quoted.get(..end)?, quoted.get(end + 2..)?);
        } else {
            let plain = rest.strip_prefix('.')?;
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            (name, rest) = plain.split_at(end);
        }
        let is_named = !schema.properties.is_empty();
        schema = if is_named { schema.properties.get(name)? } else { schema.additional.as_deref()? };
        path = if is_named { child(&path, name) } else { key(&path, name) };
    }
    Some(path)
}

/// A value with the one it had before, where the API server can tell which that is.
#[derive(Clone, Copy)]
struct Pair<'a> {
    schema: &'a Schema,
    new: &'a Value,
    old: &'a Value,
}

/// By what it is judged whether a value has changed.
#[derive(Clone, Copy, Default)]
struct Change<'a> {
    this: Option<Pair<'a>>,
    parent: Option<Pair<'a>>,
}

impl<'a> Change<'a> {
    fn none(self) -> bool {
        self.this.or(self.parent).is_some_and(|pair| same(pair.schema, pair.new, pair.old))
    }

    fn field(self, name: &str) -> Self {
        let Some(this) = self.this else { return self };
        if self.parent.is_none() && matches!(name, "apiVersion" | "kind") {
            return Self::default();
        }
        let inner = |pair: Pair<'a>| {
            Some(Pair {
                schema: pair.schema.field(name)?,
                new: pair.new.get(name)?,
                old: pair.old.get(name)?,
            })
        };
        Self { this: inner(this), parent: Some(this) }
    }

    fn item(self, i: usize) -> Self {
        let Some(this) = self.this else { return self };
        let inner = |pair: Pair<'a>| {
            let new = pair.new.get(i)?;
            let old = lists::counterpart(pair.schema, new, pair.old)?;
            Some(Pair { schema: pair.schema.items.as_deref()?, new, old })
        };
        Self { this: inner(this), parent: Some(this) }
    }
}

/// Adds the faults that the rules find.
pub(super) fn check(schema: &Schema, new: &Value, old: Option<&Value>, verdict: &mut Verdict) {
    let this = old.map(|old| Pair { schema, new, old });
    walk(schema, new, old, Path::ROOT, Change { this, parent: None }, verdict);
}

fn walk(
    schema: &Schema,
    new: &Value,
    old: Option<&Value>,
    path: Path<'_>,
    change: Change<'_>,
    verdict: &mut Verdict,
) {
    if new.is_null() || !schema.has_rules {
        return;
    }
    if let Some(rules) = &schema.rules {
        let old = old.filter(|old| !old.is_null());
        evaluate(rules, schema, new, old, path, change, verdict);
    }
    match new {
        Value::Object(fields) => {
            for (name, value) in fields {
                let old = old.and_then(|old| old.get(name));
                if let Some(inner) = schema.properties.get(name) {
                    walk(inner, value, old, path.field(name), change.field(name), verdict);
                } else if let Some(inner) = schema.additional.as_deref() {
                    walk(inner, value, old, path.key(name), change.field(name), verdict);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.items.as_deref() else { return };
            for (i, item) in items.iter().enumerate() {
                let old = old.and_then(|old| lists::counterpart(schema, item, old));
                walk(inner, item, old, path.item(i), change.item(i), verdict);
            }
        }
        _ => {}
    }
}

fn evaluate(
    rules: &Rules,
    schema: &Schema,
    new: &Value,
    old: Option<&Value>,
    path: Path<'_>,
    change: Change<'_>,
    verdict: &mut Verdict,
) {
    let type_ = if schema.type_ == Type::IntOrString { "" } else { schema.type_.name() };
    let at = |field: &str| match (path.is_empty(), field.is_empty()) {
        (true, true) => "<nil>".to_owned(),
        (false, true) => path.to_string(),
        _ => path.field(field).to_string(),
    };
    let is_root = path.is_empty();
    let this = to_cel(schema, new, is_root, &rules.of_self);
    let before = old.map(|old| to_cel(schema, old, is_root, &rules.of_old));
    for rule in &rules.rules {
        if rule.uses_old && before.is_none() && !rule.optional_old {
            continue;
        }
        let mut context = Context::with_env(environment());
        context.add_variable_from_value("self", this.clone());
        match (&before, rule.optional_old) {
            (Some(before), false) => context.add_variable_from_value("oldSelf", before.clone()),
            (Some(before), true) => {
                context.add_variable_from_value("oldSelf", optional(OptionalValue::of(before.clone())))
            }
            (None, true) => context.add_variable_from_value("oldSelf", optional(OptionalValue::none())),
            (None, false) => {}
        }
        let cause = match rule.program.execute(&context) {
            Ok(Cel::Bool(true)) => continue,
            Err(error) => {
                verdict.causes.push(fault::invalid_text(at(""), type_, &failed(&error, rule)));
                continue;
            }
            Ok(_) => refused(rule, &at(&rule.field), type_, &context),
        };
        if !rule.uses_old && change.none() {
            verdict.warnings.push(format!("{}: {}", cause.field, cause.message));
        } else {
            verdict.causes.push(cause);
        }
    }
}

fn optional(value: OptionalValue) -> Cel {
    Cel::Opaque(Arc::new(value))
}

/// Returns the cause of a rule that does not hold.
fn refused(rule: &Rule, field: &str, type_: &str, context: &Context<'_, '_>) -> Cause {
    let written = match rule.message_expression.as_ref().map(|expression| expression.execute(context)) {
        Some(Ok(Cel::String(text))) => {
            let text = text.trim();
            (!text.is_empty() && text.len() <= LONGEST && !text.contains('\n')).then(|| text.to_owned())
        }
        _ => None,
    };
    let plain =
        || if rule.message.is_empty() { format!("failed rule: {}", rule.text) } else { rule.message.clone() };
    let detail = written.unwrap_or_else(plain);
    match rule.reason.as_str() {
        "FieldValueForbidden" => fault::forbidden(field, &detail),
        "FieldValueRequired" => fault::required(field, &detail),
        "FieldValueDuplicate" => fault::duplicate(field, &type_.into()),
        _ => fault::invalid_text(field, type_, &detail),
    }
}

/// Returns the words for a rule that cannot be evaluated.
fn failed(error: &ExecutionError, rule: &Rule) -> String {
    let named = if rule.message.is_empty() { &rule.text } else { &rule.message };
    let words = match error {
        ExecutionError::NoSuchKey(name) => format!("no such key: {name}"),
        ExecutionError::IndexOutOfBounds(Cel::Int(at)) => format!("index out of bounds: {at}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..) => {
            return format!(
                "'no such overload': call arguments did not match a supported operator, function or macro signature for rule: {named}"
            );
        }
        other => other.to_string(),
    };
    format!("{words} evaluating rule: {named}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::validate;

    fn told(schema: &Value, new: Value, old: Option<Value>) -> Vec<String> {
        let schema = Schema::of_crd(schema).expect("a schema");
        let causes = validate(&schema, &new, old.as_ref());
        causes
            .into_iter()
            .map(|cause| format!("{} {}: {}", cause.reason, cause.field, cause.message))
            .collect()
    }

    fn spec(fields: Value) -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}})
    }

    #[test]
    fn a_rule_that_does_not_hold_says_so_where_it_is_told_to() {
        let schema = spec(
            json!({"span": {"type": "object", "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "!has(self.low) || !has(self.high) || self.low <= self.high",
                "messageExpression": "'low is ' + (self.low > 3 ? 'far ' : 'just ') + 'above high'",
                "reason": "FieldValueForbidden", "fieldPath": ".low"}]}}),
        );
        let refused = told(&schema, json!({"spec": {"span": {"low": 9, "high": 1}}}), None);
        assert_eq!(refused, ["FieldValueForbidden spec.span.low: Forbidden: low is far above high"]);
        assert!(told(&schema, json!({"spec": {"span": {"low": 1}}}), None).is_empty());
    }

    #[test]
    fn a_rule_about_the_old_value_is_asked_if_there_is_one() {
        let schema = spec(
            json!({"still": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}),
        );
        let of = |value: &str| json!({"spec": {"still": value}});
        let refused = told(&schema, of("b"), Some(of("a")));
        assert_eq!(
            refused,
            ["FieldValueInvalid spec.still: Invalid value: \"string\": failed rule: self == oldSelf"]
        );
        assert!(
            told(&schema, of("b"), None).is_empty()
                && told(&schema, json!({"spec": {}}), Some(of("a"))).is_empty()
        );
    }

    #[test]
    fn a_rule_with_a_function_that_the_library_lacks_refuses_the_definition() {
        let schema =
            spec(json!({"a": {"type": "string", "x-kubernetes-validations": [{"rule": "isURL(self)"}]}}));
        let faults = Schema::of_crd(&schema).expect_err("a fault");
        assert_eq!(faults.len(), 1);
        assert_eq!(
            (faults[0].reason, faults[0].field.as_str()),
            (
                "NotImplemented",
                "openAPIV3Schema.properties[spec].properties[a].x-kubernetes-validations[0].rule"
            )
        );
    }

    #[test]
    fn what_a_rule_broke_before_is_a_warning() {
        let schema = Schema::of_crd(&spec(
            json!({"a": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 0"}]},
            "b": {"type": "integer"}}),
        ))
        .expect("a schema");
        let (old, new) = (json!({"spec": {"a": 0}}), json!({"spec": {"a": 0, "b": 1}}));
        let verdict = crate::schema::judge(&schema, &new, Some(&old), Vec::new());
        assert!(verdict.causes.is_empty());
        assert_eq!(verdict.warnings, ["spec.a: Invalid value: \"integer\": failed rule: self > 0"]);
    }
}
