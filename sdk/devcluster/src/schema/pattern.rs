//! Patterns of Go, read by the library of Rust.

use regex::Regex;

/// Compiles a pattern.
///
/// In Go `\d`, `\w` and `\s` are characters of ASCII, and `[`, `&` and `~` are plain ones within brackets.
///
/// # Errors
/// The library does not read the pattern; Go may.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let mut plain = String::with_capacity(pattern.len() + 8);
    let mut within = false;
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('d') => plain.push_str("[0-9]"),
                Some('w') => plain.push_str("[0-9A-Za-z_]"),
                Some('s') => plain.push_str(r"[\t\n\x0c\r ]"),
                Some('D') => plain.push_str("[^0-9]"),
                Some('W') => plain.push_str("[^0-9A-Za-z_]"),
                Some('S') => plain.push_str(r"[^\t\n\x0c\r ]"),
                Some('b') => plain.push_str(r"(?-u:\b)"),
                Some('Q') => literal(&mut plain, &mut characters),
                Some(other) => plain.extend(['\\', other]),
                None => plain.push('\\'),
            },
            '[' if within => match named(&characters) {
                Some(name) => {
                    plain.extend(["[", name.as_str(), ":]"]);
                    characters.nth(name.len() + 1);
                }
                None => plain.push_str(r"\["),
            },
            '&' | '~' if within => plain.extend(['\\', c]),
            '[' => {
                within = true;
                plain.push('[');
                if characters.peek() == Some(&'^') {
                    plain.extend(characters.next());
                }
                // A bracket that closes at once is a plain one.
                if characters.peek() == Some(&']') {
                    characters.next();
                    plain.push_str(r"\]");
                }
            }
            ']' => {
                within = false;
                plain.push(']');
            }
            _ => plain.push(c),
        }
    }
    Regex::new(&plain)
}

/// Returns `:alpha` if it is followed by `:]`.
fn named(characters: &std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let rest: String = characters.clone().collect();
    let (name, _) = rest.strip_prefix(':')?.split_once(":]")?;
    name.chars().all(|c| c == '^' || c.is_ascii_lowercase()).then(|| format!(":{name}"))
}

/// Adds the text between `\Q` and `\E`.
fn literal(plain: &mut String, characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let mut text = String::new();
    for c in characters.by_ref() {
        text.push(c);
        if text.ends_with("\\E") {
            text.truncate(text.len() - 2);
            break;
        }
    }
    plain.push_str(&regex::escape(&text));
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let matches = |pattern: &str, text: &str| super::compile(pattern).expect("a pattern").is_match(text);
        assert!(matches(r"^\d+$", "12") && !matches(r"^\d+$", "١٢"));
        assert!(matches(r"^[\w.-]+$", "a_b-c.1") && !matches(r"^[\w.-]+$", "é"));
        assert!(matches("^[[]a$", "[a") && matches("^[a&&b]+$", "a&b") && matches("^[[:alpha:]x-]+$", "ab-"));
        assert!(matches("^[a-z]([a,:]*[b_])?$", "a,:b") && matches("^[[:]a$", ":a"));
        assert!(matches(r"^\Qa.b\E+$", "a.bb") && matches("^é$", "é"));
    }
}
