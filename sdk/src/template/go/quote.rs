//! Go's quoting of strings and characters, and the parsing of its literals.

use super::value::Text;

/// Returns the next character of a Go string. `None` is a byte that is no part of valid UTF-8.
pub(super) fn next_char(bytes: &[u8]) -> (Option<char>, usize) {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The bytes before `valid_up_to` are valid, so the fallback is never used.
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => (Some(c), c.len_utf8()),
        None => (None, 1),
    }
}

/// Returns the characters of a Go string.
pub(super) fn chars(mut bytes: &[u8]) -> impl Iterator<Item = (Option<char>, &[u8])> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (c, length) = next_char(bytes);
        let (head, tail) = bytes.split_at(length);
        bytes = tail;
        Some((c, head))
    })
}

/// Returns the text with each invalid byte as one U+FFFD.
pub(super) fn lossy(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => chars(bytes).map(|(c, _)| c.unwrap_or('\u{fffd}')).collect(),
    }
}

/// Returns the text as [`lossy`] does, without copying valid bytes.
pub(super) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| lossy(e.as_bytes()))
}

/// Whether Go prints the character unescaped: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(super) fn printable(c: char) -> bool {
    // The standard library escapes a combining mark only at the start of a string.
    let mut probe = String::from("a");
    probe.push(c);
    matches!(c, '"' | '\'' | '\\') || probe.escape_debug().eq(probe.chars())
}

/// Quotes `text` with double quotes, and escapes characters that are not printable; with `ascii` also those that are
/// not ASCII.
pub(super) fn quote(text: &[u8], ascii: bool) -> Vec<u8> {
    quote_with(text, '"', ascii)
}

/// Quotes a character with single quotes.
pub(super) fn quote_char(c: char, ascii: bool) -> Vec<u8> {
    quote_with(c.to_string().as_bytes(), '\'', ascii)
}

fn quote_with(text: &[u8], mark: char, ascii: bool) -> Vec<u8> {
    let mut out = vec![mark as u8];
    for (c, bytes) in chars(text) {
        let Some(c) = c else {
            out.extend(format!("\\x{:02x}", bytes[0]).bytes());
            continue;
        };
        let simple = match c {
            '\x07' => Some('a'),
            '\x08' => Some('b'),
            '\x0c' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            '\x0b' => Some('v'),
            _ if c == mark || c == '\\' => Some(c),
            _ => None,
        };
        if let Some(simple) = simple {
            out.extend([b'\\', simple as u8]);
        } else if printable(c) && (c.is_ascii() || !ascii) {
            out.extend(bytes);
        } else if c < ' ' || c == '\x7f' {
            out.extend(format!("\\x{:02x}", c as u32).bytes());
        } else if (c as u32) < 0x10000 {
            out.extend(format!("\\u{:04x}", c as u32).bytes());
        } else {
            out.extend(format!("\\U{:08x}", c as u32).bytes());
        }
    }
    out.push(mark as u8);
    out
}

/// Returns the value of a literal with its quotes as in the source. `None` if an escape in it is unknown to Go.
pub(super) fn unquote(literal: &str) -> Option<Text> {
    let body = literal.get(1..literal.len() - 1)?;
    if literal.starts_with('`') {
        return Some(Text::from(body.replace('\r', "").as_bytes()));
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while !rest.is_empty() {
        rest = unescape(rest, '"', &mut out)?;
    }
    Some(Text::from(out))
}

/// Returns the code point of a character literal such as `'a'`. `None` if it is malformed.
pub(super) fn unquote_char(literal: &str) -> Option<i64> {
    let body = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut out = Vec::new();
    let rest = unescape(body, '\'', &mut out)?;
    if !rest.is_empty() {
        return None;
    }
    match next_char(&out) {
        (Some(c), _) => Some(i64::from(c as u32)),
        // `'\xff'` is a number, no character.
        (None, _) => out.first().map(|byte| i64::from(*byte)),
    }
}

/// Takes one character or escape off `text`.
fn unescape<'t>(text: &'t str, mark: char, out: &mut Vec<u8>) -> Option<&'t str> {
    let mut chars = text.chars();
    let c = chars.next()?;
    if c == mark || c == '\n' {
        return None;
    }
    if c != '\\' {
        out.extend(c.encode_utf8(&mut [0; 4]).bytes());
        return Some(chars.as_str());
    }
    let kind = chars.next()?;
    let rest = chars.as_str();
    let simple = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        _ if kind == mark => mark as u8,
        'x' | 'u' | 'U' => {
            let length = match kind {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let code = digits(rest.get(..length)?, 16)?;
            if kind == 'x' {
                out.push(u8::try_from(code).ok()?);
            } else {
                out.extend(char::from_u32(code)?.encode_utf8(&mut [0; 4]).bytes());
            }
            return rest.get(length..);
        }
        '0'..='7' => {
            let code = digits(text.get(1..4)?, 8)?;
            out.push(u8::try_from(code).ok()?);
            return text.get(4..);
        }
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

fn digits(text: &str, radix: u32) -> Option<u32> {
    if text.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(text, radix).ok()
}
