//! The contract's bounds on texts and lists whose size depends on the user. An answer that exceeds a bound would fail
//! the run with a reason that blames the component, so texts and lists are cut instead.

use super::wit;
use crate::failure::{Finding, Severity};

/// A message, in bytes.
pub(super) const MESSAGE: usize = 4 << 10;
/// The message of a failure, in bytes.
pub(super) const FAILURE_MESSAGE: usize = 16 << 10;
/// A JSON pointer, in bytes.
const POINTER: usize = 512;
/// Entries of a list.
const LIST: usize = 32;

/// Cuts a text at a character boundary, and marks the cut.
pub(super) fn text(mut text: String, bytes: usize) -> String {
    const MARK: char = '…';
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes - MARK.len_utf8()));
        text.push(MARK);
    }
    text
}

/// Cuts a list of findings; the last entry counts the rest.
pub(crate) fn findings(mut findings: Vec<Finding>) -> Vec<wit::Diagnostic> {
    if findings.len() > LIST {
        // Errors refuse the run: none may be dropped in favour of a warning.
        let (errors, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|f| f.severity == Severity::Error);
        findings = errors;
        findings.extend(warnings);
        let rest = findings.split_off(LIST - 1);
        let severity = rest[0].severity;
        let message = format!("and {} findings more", rest.len());
        findings.push(Finding { severity, at: String::new(), message });
    }
    let bounded = |f: Finding| Finding { at: pointer(f.at), message: text(f.message, MESSAGE), ..f };
    findings.into_iter().map(|f| bounded(f).into()).collect()
}

/// Cuts a pointer to the longest prefix of whole segments within the bound.
fn pointer(mut pointer: String) -> String {
    if pointer.len() > POINTER {
        let end = pointer[..pointer.floor_char_boundary(POINTER)].rfind('/').unwrap_or(0);
        pointer.truncate(end);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_within_the_bound() {
        assert_eq!(text("aé".to_owned(), 4), "aé");
        assert_eq!(text("aéaé".to_owned(), 5), "a…");
        assert_eq!(text("é".repeat(3000), MESSAGE).len(), MESSAGE - 1);
    }

    #[test]
    fn too_many_findings_end_in_a_count_and_keep_their_errors() {
        let warnings = (0..40).map(|i| Finding::warning("", format!("w{i}")));
        let cut = findings(warnings.chain([Finding::error("", "e")]).collect());
        assert_eq!(cut.len(), LIST);
        assert_eq!(cut[0].message, "e");
        assert_eq!(cut[31].message, "and 10 findings more");
    }

    #[test]
    fn a_long_pointer_ends_at_a_whole_segment() {
        let cut = findings(vec![Finding::error(format!("/strategy/{}", "x".repeat(600)), "e")]);
        assert_eq!(cut[0].at, "/strategy");
    }
}
