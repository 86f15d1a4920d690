//! Field selectors.

use serde_json::Value;

/// What must hold for the fields of an object: all of these.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

impl Fields {
    /// Reads a selector.
    ///
    /// # Errors
    /// In the words of kube-apiserver.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let terms = split(text).into_iter().filter(|part| !part.is_empty());
        terms.map(|part| term(text, &part)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields that it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|term| term.field.as_str())
    }

    /// The one value that a field must have, if there is such a value.
    pub(crate) fn exactly(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether an object's fields fit.
    pub(crate) fn fit(&self, object: &Value) -> bool {
        self.0.iter().all(|term| (text_of(object, &term.field) == term.value) == term.equal)
    }
}

/// The text of a field as selectors see it: empty if it is not there.
pub(crate) fn text_of(object: &Value, field: &str) -> String {
    let value = field.split('.').try_fold(object, |value, part| value.get(part));
    match value {
        // Numbers of Go are never missing.
        None | Some(Value::Null) if field == "status.successful" => "0".into(),
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The terms between commas that are not escaped.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            ',' if !escaped => parts.push(std::mem::take(&mut part)),
            _ => part.push(letter),
        }
        escaped = !escaped && letter == '\\';
    }
    parts.push(part);
    parts
}

fn term(all: &str, part: &str) -> Result<Term, String> {
    for (at, _) in part.char_indices() {
        let rest = part.get(at..).unwrap_or_default();
        let sign = ["!=", "==", "="].into_iter().find(|sign| rest.starts_with(sign));
        if let Some(sign) = sign {
            let (field, value) =
                (part.get(..at).unwrap_or_default(), rest.get(sign.len()..).unwrap_or_default());
            return Ok(Term { field: field.into(), equal: sign != "!=", value: unescaped(value)? });
        }
    }
    Err(format!("invalid selector: '{all}'; can't understand '{part}'"))
}

fn unescaped(value: &str) -> Result<String, String> {
    let (mut out, mut letters) = (String::new(), value.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(next) if "\\,=".contains(next) => out.push(next),
                Some(next) => {
                    return Err(format!("invalid field selector: invalid escape sequence: \\{next}"));
                }
                None => return Err("invalid field selector: invalid escape sequence: \\".into()),
            },
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {letter}"));
            }
            letter => out.push(letter),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_not_there_is_the_empty_text() {
        let object = json!({"spec": {"size": 2}});
        let fits = |text: &str| Fields::parse(text).map(|fields| fields.fit(&object));
        assert_eq!(
            ["spec.size=2", "spec.color=", "spec.color!=red"].map(fits),
            [Ok(true), Ok(true), Ok(true)]
        );
    }
}
