//! Mutates known texts: cuts, doubles, swaps and mixes their pieces.

use crate::choose::Choose;

/// Returns a text of `known`, changed in a few places.
pub(crate) fn mutated(choose: &mut Choose<'_>, known: &[String]) -> String {
    let mut pieces: Vec<String> =
        split(known[choose.up_to(known.len() - 1)].as_str()).into_iter().map(str::to_owned).collect();
    for _ in 0..choose.up_to(2) {
        let (at, other) = (choose.up_to(pieces.len()), choose.up_to(pieces.len()));
        let (from, to) = (at.min(other), at.max(other));
        match choose.up_to(7) {
            0 => {
                pieces.drain(from..to);
            }
            1 => {
                let middle = pieces[from..to].to_vec();
                let times = 1 + choose.up_to(3);
                pieces.splice(to..to, middle.iter().cycle().take(middle.len() * times).cloned());
            }
            2 if from < to => pieces.swap(from, to - 1),
            3 | 4 => {
                let others = split(known[choose.up_to(known.len() - 1)].as_str());
                let from_other = choose.up_to(others.len());
                let count = choose.up_to(6);
                let taken = others.into_iter().skip(from_other).take(count).map(str::to_owned);
                pieces.splice(at..at, taken.collect::<Vec<_>>());
            }
            5 => pieces.insert(at, choose.integer().to_string()),
            6 => pieces.insert(at, format!("{:?}", choose.text())),
            _ => pieces.insert(at, choose.raw(4)),
        }
        // Doubling a text repeatedly finds no more than doubling it once.
        pieces.truncate(600);
    }
    pieces.concat()
}

/// Splits a text into words, numbers, blanks, delimiters, and single other characters.
fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |class: fn(char) -> bool| rest.find(|c| !class(c)).unwrap_or(rest.len());
        let delimiter =
            ["{{/*", "*/}}", "{{-", "-}}", "{%-", "-%}", "{{", "}}", "{%", "%}", ":=", "//", "**"];
        let length = if let Some(found) = delimiter.iter().find(|d| rest.starts_with(**d)) {
            found.len()
        } else if first.is_alphanumeric() {
            same(char::is_alphanumeric)
        } else if first.is_whitespace() {
            same(char::is_whitespace)
        } else {
            first.len_utf8()
        };
        let (piece, others) = rest.split_at(length);
        pieces.push(piece);
        rest = others;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::{mutated, split};
    use crate::choose::Choose;

    #[test]
    fn a_text_is_split_into_what_it_is_made_of_and_mutants_differ() {
        assert_eq!(split("{{- é1 .b|x}}"), ["{{-", " ", "é1", " ", ".", "b", "|", "x", "}}"]);
        let known = ["{{ if .a }}x{{ end }}".to_owned(), "{{ range .b }}{{ . }}{{ end }}".to_owned()];
        let mutants: std::collections::BTreeSet<String> =
            (0..200).map(|seed| mutated(&mut Choose::new(&crate::driver::input(seed)), &known)).collect();
        assert!(mutants.len() > 100, "{}", mutants.len());
    }
}
