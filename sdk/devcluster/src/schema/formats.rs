//! Formats of texts that the API server checks in CRDs.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;

/// Returns the name by which a format is looked up.
fn plain(format: &str) -> String {
    format.replace('-', "")
}

/// Formats that the API server checks and this crate does not.
const NOT_MODELLED: [&str; 9] =
    ["email", "uri", "hostname", "isbn", "isbn10", "isbn13", "creditcard", "rgbcolor", "mac"];

/// Formats that are checked.
const CHECKED: [&str; 17] = [
    "datetime",
    "date",
    "duration",
    "byte",
    "password",
    "ipv4",
    "ipv6",
    "cidr",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "ssn",
    "hexcolor",
    "bsonobjectid",
    "k8sshortname",
    "k8slongname",
];

/// Whether the API server checks texts of the format. Others are taken for no format at all.
#[must_use]
pub fn is_known(format: &str) -> bool {
    let format = plain(format);
    CHECKED.contains(&format.as_str()) || NOT_MODELLED.contains(&format.as_str())
}

/// Whether this crate cannot check the format although the API server does.
#[must_use]
pub(super) fn is_not_modelled(format: &str) -> bool {
    NOT_MODELLED.contains(&plain(format).as_str())
}

/// Whether a text has the format, which [`is_known`].
#[must_use]
pub(super) fn fits(format: &str, text: &str) -> bool {
    static PATTERNS: LazyLock<Vec<(&str, Option<Regex>)>> = LazyLock::new(|| {
        [
            ("uuid", r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"),
            ("uuid3", r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$"),
            ("uuid4", r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"),
            ("uuid5", r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"),
            ("ssn", r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$"),
            ("hexcolor", r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"),
            ("bsonobjectid", r"^[0-9a-fA-F]{24}$"),
            ("k8sshortname", r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
            ("k8slongname", r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        ]
        .into_iter()
        .map(|(name, pattern)| (name, Regex::new(pattern).ok()))
        .collect()
    });
    let format = plain(format);
    match format.as_str() {
        "datetime" => is_date_time(text),
        "date" => is_date(text),
        "duration" => is_duration(text),
        "byte" => is_base64(text),
        "ipv4" => Ipv4Addr::from_str(text).is_ok(),
        "ipv6" => Ipv6Addr::from_str(text).is_ok(),
        "cidr" => is_cidr(text),
        "k8slongname" if text.len() > 253 => false,
        format => PATTERNS
            .iter()
            .find(|(name, _)| *name == format)
            .is_none_or(|(_, pattern)| pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))),
    }
}

/// Whether a text is a day, `2006-01-02`.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok() && text.is_char_boundary(4)
}

/// Whether a text is a moment, in the API server's own reading: letters of any case, no leap second, any offset.
fn is_date_time(text: &str) -> bool {
    static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$").ok()
    });
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(day), Some(time)) = (parts.next(), parts.next()) else { return false };
    let Some(found) = TIME.as_ref().and_then(|pattern| pattern.captures(time)) else { return false };
    let part = |i: usize| found.get(i).map_or("", |part| part.as_str());
    is_date(day) && part(1) <= "23" && part(2) <= "59" && part(3) <= "59"
}

/// Whether a text is a duration of Go, or has a number with a unit of time in it.
fn is_duration(text: &str) -> bool {
    static GO: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$").ok()
    });
    static PART: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"([0-9]+)[\t\n\x0c\r ]*([A-Za-zµ]+)").ok());
    const UNITS: [&[&str]; 8] = [
        &["ns", "nano"],
        &["us", "µs", "micro"],
        &["ms", "milli"],
        &["s", "sec"],
        &["m", "min"],
        &["h", "hr", "hour"],
        &["d", "day"],
        &["w", "wk", "week"],
    ];
    if GO.as_ref().is_some_and(|pattern| pattern.is_match(text)) {
        return true;
    }
    let Some(pattern) = PART.as_ref() else { return false };
    let mut found = false;
    for part in pattern.captures_iter(text) {
        let get = |i: usize| part.get(i).map_or("", |part| part.as_str());
        if get(1).parse::<i64>().is_err() {
            return false;
        }
        let unit = get(2).to_lowercase();
        found |= UNITS.iter().any(|names| {
            names.contains(&unit.as_str()) || names.last().is_some_and(|last| unit.starts_with(last))
        });
    }
    found
}

/// Whether a text is base64 with its padding; an empty text is not.
fn is_base64(text: &str) -> bool {
    let padding = text.len() - text.trim_end_matches('=').len();
    let digits = text.trim_end_matches('=');
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && padding <= 2
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match (Ipv4Addr::from_str(address), Ipv6Addr::from_str(address)) {
        (Ok(_), _) => 32,
        (_, Ok(_)) => 128,
        _ => return false,
    };
    bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(format: &str, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(fits(format, text), "{text} is {format}");
        }
        for text in bad {
            assert!(!fits(format, text), "{text} is no {format}");
        }
    }

    #[test]
    fn texts_are_held_to_their_formats() {
        all(
            "date-time",
            &["2001-01-01T00:00:00Z", "2001-01-01t00:00:00z", "2001-01-01T23:59:59.5+25:99"],
            &["2001-01-01", "2001-01-01T24:00:00Z", "2001-01-01T00:00:00", "2001-02-30T00:00:00Z", "", "x"],
        );
        all("date", &["2001-01-31"], &["2001-02-30", "2001-1-1", "20010101", ""]);
        all(
            "duration",
            &["1h", "-1h", "1.5h", "3 days", "1d", "2w", "P1D", "0", "1h30m", "1 week"],
            &["", "5", "x", "h"],
        );
        all("byte", &["MQ==", "YWJj"], &["", "MQ", "M===", "a b="]);
        all("cidr", &["10.0.0.0/8", "::/0"], &["10.0.0.0", "10.0.0.0/33"]);
        all("uuid", &["00000000-0000-0000-0000-000000000001"], &["x"]);
        assert!(is_known("date-time") && !is_known("shoe-size") && !is_known("int32"));
    }
}
