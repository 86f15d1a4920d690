//! Descriptions, as `kubectl explain` shows them.

use serde_json::Value;

use super::walk::for_each;

/// Joins the lines of a paragraph, which end at the width of a source file. Paragraphs and lists stay.
pub(crate) fn unwrap(schema: &mut Value) {
    for_each(schema, &mut |object| {
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = join_lines(text);
        }
    });
}

/// Cuts descriptions to their first sentence. The whole ones of `core/v1`, repeated at every use of a type, would make
/// the CRD of a strategy too large for client-side apply, whose annotation holds 256 KiB.
pub(crate) fn shorten(schema: &mut Value) {
    for_each(schema, &mut |object| {
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = first_sentence(text).to_owned();
        }
    });
}

fn join_lines(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.trim().lines().map(str::trim_end) {
        let starts_anew = line.is_empty() || line.starts_with("- ") || line.starts_with(' ');
        if starts_anew && !joined.is_empty() {
            joined.push('\n');
        } else if !joined.is_empty() && !joined.ends_with('\n') {
            joined.push(' ');
        } else if joined.ends_with('\n') && !joined.ends_with("\n\n") {
            joined.push('\n');
        }
        joined.push_str(line);
    }
    joined
}

/// Returns the text up to the first full stop before a space and a capital, or before a new line.
fn first_sentence(text: &str) -> &str {
    let text = text.split("\n\n").next().unwrap_or(text).trim();
    let end = text.match_indices(". ").find(|(at, stop)| {
        let abbreviation = ["e.g", "i.e", "etc", "vs"].iter().any(|word| text[..*at].ends_with(word));
        !abbreviation && text[at + stop.len()..].trim_start().starts_with(|c: char| c.is_uppercase())
    });
    end.map_or(text, |(at, _)| &text[..=at])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn broken_lines_are_joined_and_paragraphs_stay() {
        assert_eq!(join_lines("one\ntwo\n\nthree\nfour"), "one two\n\nthree four");
        assert_eq!(join_lines("kinds:\n- a\n- b"), "kinds:\n- a\n- b");
    }

    #[test]
    fn the_first_sentence_ends_at_a_stop_before_a_capital() {
        assert_eq!(first_sentence("Name of the volume. Must be unique."), "Name of the volume.");
        assert_eq!(first_sentence("Use e.g. Foo or 1.5 Gi"), "Use e.g. Foo or 1.5 Gi");
        assert_eq!(first_sentence("First\n\nSecond. Third"), "First");
        assert_eq!(first_sentence("see x. more"), "see x. more");
    }

    #[test]
    fn descriptions_at_every_depth_are_shortened() {
        let mut schema = json!({"properties": {"a": {"items": {"description": "One. Two."}}}});
        shorten(&mut schema);
        assert_eq!(schema, json!({"properties": {"a": {"items": {"description": "One."}}}}));
    }
}
