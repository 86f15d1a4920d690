//! Bounds of what is kept of an object.
//!
//! The API server admits an object of 1.5 MB, whatever its fields are. A text beyond its bound is cut when it is decoded, just
//! behind the bound: it stays too long for every later check, and costs no more memory than that.

/// A name, group, kind, version, uid or digest, in bytes.
pub const NAME_BYTES: usize = 253;
/// `spec.schedule.cron` of a Plan, in bytes.
pub const CRON_BYTES: usize = 1 << 10;
/// A message, in bytes.
pub const MESSAGE_BYTES: usize = 32 << 10;
/// The JSON text of a free-form field, such as `spec.options`, in bytes as the API server writes it.
pub const FREE_FORM_BYTES: usize = 64 << 10;
/// The JSON text of `status.underlyingResources`: [`FREE_FORM_BYTES`], each of which the API server may write as six.
pub const UNDERLYING_RESOURCES_BYTES: usize = 6 * FREE_FORM_BYTES;
/// Levels of nesting in a free-form field.
pub const FREE_FORM_LEVELS: usize = 32;
/// Levels of nesting in `status.underlyingResources`: what a component may return.
pub const UNDERLYING_RESOURCES_LEVELS: usize = 100;
/// JSON values (scalars, arrays, objects) in a free-form field.
pub const FREE_FORM_VALUES: usize = 10_000;
/// Entries of parameters.
pub const PAIRS_ENTRIES: usize = 64;
/// Names and values of parameters together, in bytes.
pub const PAIRS_BYTES: usize = 64 << 10;
/// Conditions of an object.
pub const CONDITIONS: usize = 64;

/// Cuts `text` behind `bound` bytes. A text that was too long still is.
pub(crate) fn cut(text: &str, bound: usize) -> &str {
    match text.get(bound + 1..) {
        // Cut between two characters.
        Some(_) => &text[..bound + 1],
        None if text.len() > bound => {
            text.char_indices().map(|(at, _)| at).find(|at| *at > bound).map_or(text, |at| &text[..at])
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_too_long_still_is_when_it_is_cut() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abcd");
        assert_eq!(cut("abcde", 3), "abcd");
        assert_eq!(cut("", 0), "");
        // The fourth character has three bytes.
        assert_eq!(cut("abc\u{20ac}def", 3), "abc\u{20ac}");
        assert_eq!(cut("abc\u{20ac}", 3), "abc\u{20ac}");
    }
}
