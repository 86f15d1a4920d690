//! A bound on the length of expressions. The engine parses a chain of operators in a loop, but builds a tree as deep
//! as the chain is long, and walks it by recursion: some thousand operators would exhaust the stack of a component,
//! and the run would fail without naming the field. The engine's own bound on nesting does not count them.

/// Maximum number of operators, accesses, filters and calls in one tag, or of `elif`s in one text.
const MOST: usize = 500;

/// Returns the start of the first tag that is too long, if there is one.
pub(super) fn too_long(source: &str) -> Option<usize> {
    let (mut at, mut elifs) = (0, 0);
    while let Some(open) = source[at..].find(['{']).map(|found| at + found) {
        let rest = &source[open..];
        if rest.starts_with("{{/*") {
            at = open + rest.find("*/}}").unwrap_or(rest.len());
        } else if rest.starts_with("{{") || rest.starts_with("{%") {
            let (operators, length) = tag(rest);
            let word = rest[2..length].trim_start_matches(['-', '+']).trim_start();
            elifs += usize::from(rest.starts_with("{%") && word.starts_with("elif"));
            if operators > MOST || elifs > MOST {
                return Some(open);
            }
            at = open + length;
            if rest.starts_with("{%") && word.starts_with("raw") {
                at += source[at..].find("endraw").unwrap_or(source.len() - at);
            }
        } else {
            at = open + 1;
        }
    }
    None
}

/// Returns the number of operators in the tag at the start of `text`, and the length up to its closing braces.
fn tag(text: &str) -> (usize, usize) {
    let bytes = text.as_bytes();
    let close = if bytes[1] == b'{' { b"}}" } else { b"%}" };
    let (mut operators, mut braces, mut quote, mut at) = (0, 0u32, None, 2);
    while at < bytes.len() {
        let (before, byte) = (bytes[at - 1], bytes[at]);
        if let Some(end) = quote {
            match byte {
                b'\\' => at += 1,
                _ if byte == end => quote = None,
                _ => {}
            }
        } else if braces == 0 && bytes[at..].starts_with(close) {
            break;
        } else {
            match byte {
                b'"' | b'\'' => quote = Some(byte),
                b'{' => braces += 1,
                b'}' => braces = braces.saturating_sub(1),
                // The point of a number, or the second character of an operator.
                b'.' if before.is_ascii_digit() => {}
                b'*' | b'/' | b'=' if before == byte => {}
                b'+' | b'-' | b'*' | b'/' | b'%' | b'~' | b'.' | b'|' | b'[' | b'(' | b'<' | b'>' | b'='
                | b'!' => {
                    operators += 1;
                }
                _ if byte.is_ascii_alphabetic() && !before.is_ascii_alphanumeric() && before != b'_' => {
                    let word = text[at..].split(|c: char| !c.is_alphanumeric() && c != '_').next();
                    operators +=
                        usize::from(matches!(word, Some("and" | "or" | "not" | "in" | "is" | "if" | "else")));
                }
                _ => {}
            }
        }
        at += 1;
    }
    (operators, at.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::{MOST, too_long};

    #[test]
    fn chains_of_every_kind_are_counted_and_honest_texts_are_not() {
        for link in [
            "+1",
            "**1",
            " ~ 1",
            " and 1",
            " is defined",
            "|upper",
            ".a",
            "[0]",
            "()",
            " if 0 else 1",
            " not in []",
        ] {
            assert_eq!(too_long(&format!("x{{{{ a{} }}}}", link.repeat(MOST + 1))), Some(1), "{link}");
            assert_eq!(too_long(&format!("x{{{{ a{} }}}}", link.repeat(MOST / 4))), None, "{link}");
        }
        for unary in ["not ", "-"] {
            assert_eq!(too_long(&format!("{{{{ {}a }}}}", unary.repeat(MOST + 1))), Some(0), "{unary}");
        }
        let hidden = format!("{{{{ {{'a': {{}}}}['}}}}']{} }}}}", "+1".repeat(MOST + 1));
        assert_eq!(too_long(&hidden), Some(0));
        assert!(too_long(&format!("{{% if a %}}{}", "{%- elif b %}".repeat(MOST + 1))).is_some());
        for fine in [
            format!("{{{{ [{}] }}}}", "1.5, ".repeat(5000)),
            format!("{{{{ \"{}\" }}}}", "+".repeat(5000)),
            format!("{{% raw %}}{{{{ {}{{% endraw %}}", "+1".repeat(5000)),
            format!("{{{{/* {} */}}}}", "a.b ".repeat(5000)),
            format!("{} {{{{ a }}}}", "${a[0]}.{b}".repeat(5000)),
            "{{ a.b }}".repeat(5000),
            "{{".to_owned(),
        ] {
            assert_eq!(too_long(&fine), None, "{}", &fine[..2.max(fine.len().min(40))]);
        }
    }
}
