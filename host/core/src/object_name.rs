//! Names of objects that runs, classes and Backups refer to. A name becomes a part of a URL, so it is checked as a name before
//! any request.

/// Longest name of an object, in bytes.
const LONGEST: usize = backstay_api::names::NAME_LIMIT;
/// Bytes of a wrong name that a message shows.
const SHOWN: usize = 64;

/// Checks that `name` can be the name of an object. `field` is the field with the name, for the message.
///
/// The check is that of the API server for a part of a path, and wider than what most kinds allow: a name that passes and that
/// its kind does not allow is the name of an object that does not exist.
///
/// # Errors
/// The message: the field, the name and what names look like.
pub fn check(field: &str, name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
    if !name.is_empty() && name.len() <= LONGEST && name.bytes().all(allowed) && !matches!(name, "." | "..") {
        return Ok(());
    }
    let shown = name.get(..name.floor_char_boundary(SHOWN)).unwrap_or_default();
    let more = if shown.len() < name.len() { "…" } else { "" };
    Err(format!(
        "{field}: {shown:?}{more} is not the name of an object: a name has 1 to {LONGEST} lower-case letters, digits, \"-\" and \".\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_url_of_a_request_is_not_a_name() {
        let long = "n".repeat(254);
        for name in [
            "",
            ".",
            "..",
            "a b",
            "a%20b",
            "a%",
            "../secrets/s",
            "a/status",
            "a?watch=1",
            "a#b",
            "\n",
            "ü",
            &long,
        ] {
            let error = check("spec.backupRef.name", name).expect_err(name);
            assert!(error.starts_with("spec.backupRef.name: "), "{error}");
            assert!(error.len() < 300, "{error}");
        }
    }

    #[test]
    fn names_that_an_api_server_could_serve_pass() {
        for name in ["a", "nightly", "a.b-c", "0", "system:node", "A_b", &"n".repeat(253)] {
            check("f", name).expect(name);
        }
    }
}
