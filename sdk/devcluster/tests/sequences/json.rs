//! JSON with the text of numbers kept that have a fraction or an exponent, as `"$float:TEXT"`; and JSON pointers.

use serde_json::Value;

/// Reads JSON.
pub(crate) fn parse(text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter == '"' || letter == '-' || letter.is_ascii_digit()) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with('"') { end_of_text(rest)? } else { end_of_number(rest) };
        let token = &rest[..end];
        if !token.starts_with('"') && token.contains(['.', 'e', 'E']) {
            kept.push_str(&format!("\"$float:{token}\""));
        } else {
            kept.push_str(token);
        }
        rest = &rest[end..];
    }
    kept.push_str(rest);
    serde_json::from_str(&kept).ok()
}

fn end_of_text(text: &str) -> Option<usize> {
    let mut escaped = false;
    let after = text.char_indices().skip(1).find(|(_, letter)| {
        let ends = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    after.map(|(at, _)| at + 1)
}

fn end_of_number(text: &str) -> usize {
    text.find(|letter: char| !letter.is_ascii_digit() && !"+-.eE".contains(letter)).unwrap_or(text.len())
}

/// What a pointer names; null and nothing are the same.
pub(crate) fn at<'a>(value: Option<&'a Value>, pointer: &str) -> Option<&'a Value> {
    value?.pointer(pointer).filter(|value| !value.is_null())
}

/// Puts a value where a pointer says, into new objects if need be; null takes out what is there.
pub(crate) fn put(value: &mut Value, pointer: &str, new: Value) {
    if new.is_null() {
        return remove(value, pointer);
    }
    let mut place = value;
    for part in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = &mut place[part.replace("~1", "/").replace("~0", "~")];
    }
    *place = new;
}

/// Removes what a pointer names; `*` is any field or item.
pub(crate) fn remove(value: &mut Value, pointer: &str) {
    let parts: Vec<String> =
        pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    remove_parts(value, &parts);
}

fn remove_parts(value: &mut Value, parts: &[String]) {
    let Some((part, rest)) = parts.split_first() else { return };
    let fits = |key: &str| part == "*" || part == key;
    match value {
        Value::Array(items) => {
            for (_, item) in items.iter_mut().enumerate().filter(|(at, _)| fits(&at.to_string())) {
                remove_parts(item, rest);
            }
        }
        Value::Object(fields) if rest.is_empty() => fields.retain(|key, _| !fits(key)),
        Value::Object(fields) => {
            fields.iter_mut().filter(|(key, _)| fits(key)).for_each(|(_, value)| remove_parts(value, rest));
        }
        _ => {}
    }
}
