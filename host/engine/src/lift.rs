//! Reading the answer of a guest, item by item, under the contract's bounds.
//!
//! The `convert` module of each WIT version reads its own types with these functions, which know no version. The rules
//! that tie several items together are in [`crate::rules`].

use std::borrow::Cow;

use backstay_core::contract::{Json, Pairs};

use crate::call_error::{CallFault, quoted};
use crate::json;
use crate::limits::{
    JSON_BYTES, LIST_ENTRIES, Limits, MESSAGE_BYTES, NAME_BYTES, PAIRS_BYTES, PAIRS_ENTRIES, POINTER_BYTES,
    REASON_BYTES,
};

/// A bound or a rule that an answer breaks, and the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContractViolation {
    /// Parts of the field's path, innermost first.
    path: Vec<Cow<'static, str>>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rule(String),
    Size {
        size: usize,
        limit: usize,
    },
    /// The answer as a whole is too large; the path names the field that exceeded the limit.
    Total {
        limit: usize,
    },
}

impl ContractViolation {
    /// A broken rule, as text that follows the field's name.
    pub(crate) fn rule(rule: impl Into<String>) -> Self {
        Self { path: Vec::new(), kind: Kind::Rule(rule.into()) }
    }

    /// A field of `size` bytes where `limit` are allowed.
    fn size(size: usize, limit: usize) -> Self {
        Self { path: Vec::new(), kind: Kind::Size { size, limit } }
    }

    /// Returns the field, such as `kinds[0].schema`, and the rule as text.
    pub(crate) fn into_parts(self) -> (String, String) {
        let field = self.field();
        let rule = match self.kind {
            Kind::Rule(rule) => rule,
            Kind::Size { size, limit } => format!("has {size} bytes where {limit} are allowed"),
            Kind::Total { limit } => format!("takes the answer over {limit} bytes in all"),
        };
        (field, rule)
    }

    fn field(&self) -> String {
        let mut field = String::new();
        for part in self.path.iter().rev() {
            if !field.is_empty() && !part.starts_with('[') {
                field.push('.');
            }
            field.push_str(part);
        }
        field
    }
}

impl From<ContractViolation> for CallFault {
    fn from(violation: ContractViolation) -> Self {
        let field = violation.field();
        match violation.kind {
            Kind::Rule(rule) => Self::BadAnswer { field, rule },
            Kind::Size { size, limit } => Self::OutputTooLarge { field, size: Some(size), limit },
            Kind::Total { limit } => Self::OutputTooLarge { field: String::new(), size: None, limit },
        }
    }
}

/// Adds the path of the field to a violation, from the inside out. Costs nothing without one.
pub(crate) trait At {
    /// Adds a field.
    fn at(self, field: &'static str) -> Self;
    /// Adds the index of an entry.
    fn nth(self, index: usize) -> Self;
}

impl<T> At for Result<T, ContractViolation> {
    fn at(self, field: &'static str) -> Self {
        self.map_err(|mut violation| {
            violation.path.push(field.into());
            violation
        })
    }

    fn nth(self, index: usize) -> Self {
        self.map_err(|mut violation| {
            violation.path.push(format!("[{index}]").into());
            violation
        })
    }
}

/// Returns `Ok` if `holds`, else the violation of the rule.
pub(crate) fn rule(holds: bool, rule: impl FnOnce() -> String) -> Result<(), ContractViolation> {
    if holds { Ok(()) } else { Err(ContractViolation::rule(rule())) }
}

/// The budget of one answer: counts its text and JSON values.
pub(crate) struct Answer {
    text: usize,
    text_limit: usize,
    values: usize,
    values_limit: usize,
}

impl Answer {
    /// The budget of a call with these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::with_text(limits, limits.output_bytes)
    }

    /// The budget of a call with another bound on the text.
    pub(crate) fn with_text(limits: &Limits, text_limit: usize) -> Self {
        Self { text: 0, text_limit, values: limits.json_values, values_limit: limits.json_values }
    }

    /// Reads text of at most `limit` bytes.
    pub(crate) fn text(&mut self, text: String, limit: usize) -> Result<String, ContractViolation> {
        if text.len() > limit {
            return Err(ContractViolation::size(text.len(), limit));
        }
        self.text = self.text.saturating_add(text.len());
        if self.text > self.text_limit {
            return Err(ContractViolation { path: Vec::new(), kind: Kind::Total { limit: self.text_limit } });
        }
        Ok(text)
    }

    /// Reads a name: text of 1 to 253 bytes.
    pub(crate) fn name(&mut self, text: String) -> Result<String, ContractViolation> {
        rule(!text.is_empty(), || "must not be empty".into())?;
        self.text(text, NAME_BYTES)
    }

    /// Reads a name, or `""`.
    pub(crate) fn name_or_empty(&mut self, text: String) -> Result<String, ContractViolation> {
        self.text(text, NAME_BYTES)
    }

    /// Reads the name of an object, namespace or pod: one segment of a URL path, as Kubernetes requires.
    pub(crate) fn segment(&mut self, text: String) -> Result<String, ContractViolation> {
        is_segment(&text)?;
        self.name(text)
    }

    /// Reads the version of an API: `v1` or `group/version`.
    pub(crate) fn api_version(&mut self, text: String) -> Result<String, ContractViolation> {
        rule(is_api_version(&text), || format!("must be v1 or group/version, is {}", quoted(&text)))?;
        self.name(text)
    }

    /// Reads a kind: letters and digits.
    pub(crate) fn kind(&mut self, text: String) -> Result<String, ContractViolation> {
        let sound = text.bytes().all(|b| b.is_ascii_alphanumeric());
        rule(sound, || format!("must be a kind of letters and digits, is {}", quoted(&text)))?;
        self.name(text)
    }

    /// Reads a message of at most 4 KiB.
    pub(crate) fn message(&mut self, text: String) -> Result<String, ContractViolation> {
        self.text(text, MESSAGE_BYTES)
    }

    /// Reads a reason.
    pub(crate) fn reason(&mut self, text: String) -> Result<String, ContractViolation> {
        let mut bytes = text.bytes();
        let sound =
            bytes.next().is_some_and(|b| b.is_ascii_alphabetic()) && bytes.all(|b| b.is_ascii_alphanumeric());
        rule(sound, || format!("must match [A-Za-z][A-Za-z0-9]*, is {}", quoted(&text)))?;
        self.text(text, REASON_BYTES)
    }

    /// Reads a JSON pointer.
    pub(crate) fn pointer(&mut self, text: String) -> Result<String, ContractViolation> {
        let text = self.text(text, POINTER_BYTES)?;
        rule(text.is_empty() || text.starts_with('/'), || {
            format!("must be a JSON pointer (`/a/b` or empty), is {}", quoted(&text))
        })?;
        let sound = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        rule(sound, || format!("must write `~` as `~0` in a JSON pointer, is {}", quoted(&text)))?;
        Ok(text)
    }

    /// Reads any JSON value from a text of at most `limit` bytes and at most 1 MiB.
    pub(crate) fn json(&mut self, text: String, limit: usize) -> Result<Json, ContractViolation> {
        let text = self.text(text, limit.min(JSON_BYTES))?;
        json::parse(&text, &mut self.values).map_err(|e| {
            let values = self.values_limit;
            let said = e.to_string();
            ContractViolation::rule(if said.starts_with(json::TOO_MANY) {
                format!("takes the answer over {values} JSON values in all")
            } else {
                format!("must be JSON: {said}")
            })
        })
    }

    /// Reads a JSON object.
    pub(crate) fn object(&mut self, text: String, limit: usize) -> Result<Json, ContractViolation> {
        let json = self.json(text, limit)?;
        rule(json.is_object(), || format!("must be a JSON object, is {}", type_name(&json)))?;
        Ok(json)
    }

    /// Reads a Kubernetes object with `apiVersion` and `kind`.
    pub(crate) fn typed_object(&mut self, text: String, limit: usize) -> Result<Json, ContractViolation> {
        let json = self.object(text, limit)?;
        for field in ["/apiVersion", "/kind"] {
            has_text(&json, field)?;
        }
        let text = |field: &str| json.get(field).and_then(Json::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        rule(is_api_version(version) && kind.bytes().all(|b| b.is_ascii_alphanumeric()), || {
            format!(
                "must be an object whose `apiVersion` is v1 or group/version and whose `kind` is letters and digits, is {} and {}",
                quoted(version),
                quoted(kind)
            )
        })?;
        Ok(json)
    }

    /// Reads a Kubernetes object with `apiVersion`, `kind` and `metadata.name`.
    pub(crate) fn manifest(&mut self, text: String) -> Result<Json, ContractViolation> {
        let json = self.typed_object(text, JSON_BYTES)?;
        has_text(&json, "/metadata/name")?;
        for field in ["/metadata/name", "/metadata/namespace"] {
            let name = json.pointer(field).and_then(Json::as_str).unwrap_or_default();
            is_segment(name).map_err(|_| {
                let field = field.trim_start_matches('/').replace('/', ".");
                ContractViolation::rule(format!(
                    "must be an object whose `{field}` can be part of a path, is {}",
                    quoted(name)
                ))
            })?;
        }
        Ok(json)
    }

    /// Reads pairs: sorted, unique, at most 64 entries and 64 KiB.
    pub(crate) fn pairs(&mut self, pairs: Vec<(String, String)>) -> Result<Pairs, ContractViolation> {
        rule(pairs.len() <= PAIRS_ENTRIES, || {
            format!("has {} entries where {PAIRS_ENTRIES} are allowed", pairs.len())
        })?;
        let size = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > PAIRS_BYTES {
            return Err(ContractViolation::size(size, PAIRS_BYTES));
        }
        for pair in pairs.windows(2) {
            if let [(a, _), (b, _)] = pair {
                rule(a < b, || {
                    format!("must be sorted by name, names unique; {} follows {}", quoted(b), quoted(a))
                })?;
            }
        }
        let mut map = Pairs::new();
        for (name, value) in pairs {
            map.insert(self.name(name)?, self.text(value, PAIRS_BYTES)?);
        }
        Ok(map)
    }

    /// Reads a list of at most `limit` entries, each with `read`.
    pub(crate) fn list<T, U>(
        &mut self,
        list: Vec<T>,
        limit: usize,
        mut read: impl FnMut(&mut Self, T) -> Result<U, ContractViolation>,
    ) -> Result<Vec<U>, ContractViolation> {
        rule(list.len() <= limit, || format!("has {} entries where {limit} are allowed", list.len()))?;
        list.into_iter().enumerate().map(|(i, item)| read(self, item).nth(i)).collect()
    }

    /// Reads a list of at most 32 entries.
    pub(crate) fn short_list<T, U>(
        &mut self,
        list: Vec<T>,
        read: impl FnMut(&mut Self, T) -> Result<U, ContractViolation>,
    ) -> Result<Vec<U>, ContractViolation> {
        self.list(list, LIST_ENTRIES, read)
    }
}

fn is_segment(text: &str) -> Result<(), ContractViolation> {
    let sound = !matches!(text, "." | "..")
        && !text.contains(['/', '%', '?', '#'])
        && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    rule(sound, || {
        format!(
            "must be a name without / % ? #, blanks and control characters, and not . or .., is {}",
            quoted(text)
        )
    })
}

/// Whether `text` is `v1` or `group/version`.
fn is_api_version(text: &str) -> bool {
    let (group, version) = text.split_once('/').unwrap_or(("", text));
    let named = group.is_empty() != text.contains('/');
    named && (group.is_empty() || group.split('.').all(is_dns_label)) && is_dns_label(version)
}

/// Whether `text` is a DNS label (RFC 1123): lower case, digits and dashes, at most 63 bytes.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn has_text(json: &Json, pointer: &str) -> Result<(), ContractViolation> {
    let sound = json.pointer(pointer).and_then(Json::as_str).is_some_and(|text| !text.is_empty());
    rule(sound, || {
        format!("must be a Kubernetes object with `{}`", pointer.trim_start_matches('/').replace('/', "."))
    })
}

fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
