//! Texts of others in log lines.
//!
//! What a component, a tenant or a stored object says must not look like a line of the controller, and must not fill the
//! log.

/// Bytes of one text of others in a log line.
pub const LOG_TEXT: usize = 4 << 10;

/// Returns a text as a part of one log line: at most `bytes` of it, with control characters, line separators and characters
/// that change the direction of the text escaped as in Rust (`\n`, `\u{1b}`). A text that was cut ends in `…` and its length.
#[must_use]
pub fn escaped(text: &str, bytes: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(bytes));
    for character in text.chars() {
        let before = shown.len();
        if is_unsafe(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        if shown.len() > bytes {
            shown.truncate(before);
            shown.push_str(&format!("… ({} bytes)", text.len()));
            break;
        }
    }
    shown
}

/// Returns whether a character ends a line for some reader of a log, moves the cursor, or reorders what is shown.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_stays_within_one_line_and_moves_no_cursor() {
        let forged = "a\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[2Kb\u{85}c\u{2028}d\u{202e}e";
        let line = escaped(forged, LOG_TEXT);
        assert_eq!(line, "a\\n2026-01-01T00:00:00Z ERROR forged\\r\\u{1b}[2Kb\\u{85}c\\u{2028}d\\u{202e}e");
        assert_eq!(escaped("grüße, \\ and \"quotes\"", LOG_TEXT), "grüße, \\ and \"quotes\"");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(escaped("éé", 3), "é… (4 bytes)");
        assert_eq!(escaped("\n\n", 3), "\\n… (2 bytes)");
        assert_eq!(escaped("ab", 2), "ab");
    }
}
