//! Objects as YAML, in the style of the library of kube-apiserver: keys in order, lists without indentation, texts plain
//! where they can be and folded at 80 columns.

use serde_json::Value;

/// The column after which a space becomes a break.
const WIDTH: usize = 80;

/// Returns an object as YAML.
pub(crate) fn written(object: &Value) -> String {
    let mut out = String::new();
    value(&mut out, object, 0, Place::Top);
    out
}

/// Behind what a value is written.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Key,
    Dash,
}

fn value(out: &mut String, it: &Value, indent: usize, place: Place) {
    match it {
        Value::Object(fields) if !fields.is_empty() => {
            let mut fresh = place != Place::Dash;
            if place == Place::Key {
                out.push('\n');
            }
            for (key, inner) in fields {
                if fresh {
                    out.push_str(&" ".repeat(indent));
                }
                fresh = true;
                text(out, key, indent, false);
                out.push(':');
                let deeper = if inner.is_array() { indent } else { indent + 2 };
                value(out, inner, deeper, Place::Key);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let mut fresh = place != Place::Dash;
            if place == Place::Key {
                out.push('\n');
            }
            for item in items {
                if fresh {
                    out.push_str(&" ".repeat(indent));
                }
                fresh = true;
                out.push('-');
                if item.is_object() || item.is_array() {
                    out.push(' ');
                }
                value(out, item, indent + 2, Place::Dash);
            }
        }
        other => {
            if place != Place::Top && !out.ends_with(' ') {
                out.push(' ');
            }
            match other {
                Value::String(it) => text(out, it, indent, true),
                Value::Object(_) => out.push_str("{}"),
                Value::Array(_) => out.push_str("[]"),
                other => out.push_str(&String::from_utf8_lossy(&crate::schema::go::body(other))),
            }
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
    }
}

fn text(out: &mut String, it: &str, indent: usize, folds: bool) {
    if it.contains('\n')
        && folds
        && !it.starts_with([' ', '\n'])
        && it.chars().all(|c| c == '\n' || !c.is_control())
    {
        return literal(out, it, indent);
    }
    if means_other(it) || it.chars().any(|letter| letter.is_control()) {
        out.push_str(&crate::schema::go::quote(it));
    } else if plain(it) {
        folded(out, it, indent, folds);
    } else {
        out.push('\'');
        folded(out, &it.replace('\'', "''"), indent, folds);
        out.push('\'');
    }
}

fn literal(out: &mut String, it: &str, indent: usize) {
    let trimmed = it.trim_end_matches('\n');
    out.push_str(match it.len() - trimmed.len() {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in it.strip_suffix('\n').unwrap_or(it).split('\n') {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent.max(2)));
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Writes a text; a single space beyond the width becomes a break.
fn folded(out: &mut String, it: &str, indent: usize, folds: bool) {
    let start = out.rfind('\n').map_or(0, |at| at + 1);
    let mut column = out.get(start..).unwrap_or_default().chars().count();
    let letters: Vec<char> = it.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let beside = |place: Option<&char>| place.is_none_or(|other| *other == ' ');
        let alone = !beside(letters.get(at + 1)) && at > 0 && !beside(letters.get(at - 1));
        if folds && *letter == ' ' && column > WIDTH && alone {
            out.push('\n');
            out.push_str(&" ".repeat(indent.max(2)));
            column = indent.max(2);
        } else {
            out.push(*letter);
            column += 1;
        }
    }
}

/// Whether a plain text would be read as something else.
fn means_other(it: &str) -> bool {
    const WORDS: [&str; 11] = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let number = it.trim_start_matches(['-', '+', '.']).starts_with(|letter: char| letter.is_ascii_digit());
    let digits = number && it.chars().all(|letter| letter.is_ascii_hexdigit() || "+-._:xob".contains(letter));
    let time = number && it.len() >= 10 && it.parse::<jiff::Timestamp>().is_ok();
    WORDS.contains(&it.to_lowercase().as_str())
        || time
        || digits && (it.replace('_', "").parse::<f64>().is_ok() || it.contains(':') || it.starts_with("0x"))
        || digits && it.parse::<jiff::civil::Date>().is_ok()
}

/// Whether a text can stand without quotes.
fn plain(it: &str) -> bool {
    let first = it.chars().next().unwrap_or(' ');
    let second = it.chars().nth(1);
    let indicator = ",[]{}#&*!|>'\"%@`".contains(first)
        || "-?:".contains(first) && second.is_none_or(|letter| letter == ' ')
        || it.starts_with("---")
        || it.starts_with("...");
    !(indicator
        || it.contains(": ")
        || it.contains(" #")
        || it.ends_with(':')
        || it.starts_with(' ')
        || it.ends_with(' '))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_not_indented_and_texts_are_quoted_where_they_must_be() {
        let object = json!({"a": [{"b": "true", "c": [1]}, "x: y"], "d": {}, "e": "l\nm\n", "f": "2001-01-01T00:00:00Z"});
        let text =
            "a:\n- b: \"true\"\n  c:\n  - 1\n- 'x: y'\nd: {}\ne: |\n  l\n  m\nf: \"2001-01-01T00:00:00Z\"\n";
        assert_eq!(written(&object), text);
    }
}
