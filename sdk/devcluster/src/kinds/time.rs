//! Times as Go reads and writes them.

use jiff::Timestamp;

/// One part of a layout of Go.
#[derive(Clone, Copy)]
enum Part {
    /// So many digits, which are a number from the first to the last.
    Digits(&'static str, usize, i32, i32, &'static str),
    /// These characters.
    Text(&'static str),
    /// A fraction of this form.
    Fraction(&'static str),
    /// `Z`, or an offset.
    Zone,
}

/// The second may be 59 at most: Go knows no leap seconds.
const DATE_TIME: [Part; 11] = [
    Part::Digits("2006", 4, 0, 9999, "year"),
    Part::Text("-"),
    Part::Digits("01", 2, 1, 12, "month"),
    Part::Text("-"),
    Part::Digits("02", 2, 1, 31, "day"),
    Part::Text("T"),
    Part::Digits("15", 2, 0, 23, "hour"),
    Part::Text(":"),
    Part::Digits("04", 2, 0, 59, "minute"),
    Part::Text(":"),
    Part::Digits("05", 2, 0, 59, "second"),
];

/// Reads a time and returns it as it is stored, with whole seconds; nothing for the zero time.
///
/// # Errors
/// The words of Go's parser.
pub(super) fn seconds(text: &str) -> Result<Option<String>, String> {
    read(text, None).map(|time| Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

/// Reads a time with six decimals and returns it as it is stored.
///
/// # Errors
/// The words of Go's parser.
pub(super) fn micros(text: &str) -> Result<Option<String>, String> {
    read(text, Some(".000000")).map(|time| Some(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()))
}

fn read(text: &str, fraction: Option<&'static str>) -> Result<Timestamp, String> {
    let layout = format!("2006-01-02T15:04:05{}Z07:00", fraction.unwrap_or_default());
    let mut rest = text;
    let parts = DATE_TIME.into_iter().chain(fraction.map(Part::Fraction)).chain([Part::Zone]);
    for part in parts {
        rest = take(part, rest, fraction.is_some()).map_err(|fault| match fault {
            Fault::Shape(wanted) => {
                format!("parsing time {0:?} as {layout:?}: cannot parse {rest:?} as {wanted:?}", text)
            }
            Fault::Range(what) => format!("parsing time {text:?}: {what} out of range"),
        })?;
    }
    if !rest.is_empty() {
        return Err(format!("parsing time {text:?}: extra text: {rest:?}"));
    }
    text.parse().map_err(|_| format!("parsing time {text:?}: day out of range"))
}

enum Fault {
    Shape(&'static str),
    Range(&'static str),
}

/// Takes a part from the front of a text and returns the rest.
fn take(part: Part, text: &str, exact: bool) -> Result<&str, Fault> {
    match part {
        Part::Text(wanted) => text.strip_prefix(wanted).ok_or(Fault::Shape(wanted)),
        Part::Digits(layout, count, first, last, name) => {
            let (digits, rest) = text.split_at_checked(count).ok_or(Fault::Shape(layout))?;
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Fault::Shape(layout));
            }
            let value: i32 = digits.parse().map_err(|_| Fault::Shape(layout))?;
            if !(first..=last).contains(&value) {
                return Err(Fault::Range(name));
            }
            // A fraction may follow the seconds although the layout has none.
            Ok(if name == "second" && !exact { without_fraction(rest) } else { rest })
        }
        Part::Fraction(layout) => {
            let (digits, rest) = text.split_at_checked(layout.len()).ok_or(Fault::Shape(layout))?;
            let fits = digits.starts_with('.') && digits.bytes().skip(1).all(|byte| byte.is_ascii_digit());
            if fits { Ok(rest) } else { Err(Fault::Shape(layout)) }
        }
        Part::Zone => {
            if let Some(rest) = text.strip_prefix('Z') {
                return Ok(rest);
            }
            let (offset, rest) = text.split_at_checked(6).ok_or(Fault::Shape("Z07:00"))?;
            let fits = offset.bytes().enumerate().all(|(i, byte)| match i {
                0 => matches!(byte, b'+' | b'-'),
                3 => byte == b':',
                _ => byte.is_ascii_digit(),
            });
            if fits { Ok(rest) } else { Err(Fault::Shape("Z07:00")) }
        }
    }
}

fn without_fraction(text: &str) -> &str {
    let Some(digits) = text.strip_prefix(['.', ',']) else { return text };
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() < digits.len() { rest } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_reads_them() {
        assert_eq!(seconds("2001-01-01T01:00:00.5+01:00"), Ok(Some("2001-01-01T00:00:00Z".into())));
        assert_eq!(micros("2001-01-01T00:00:00.000001Z"), Ok(Some("2001-01-01T00:00:00.000001Z".into())));
        assert_eq!(
            micros("2001-01-01T00:00:00Z"),
            Err(r#"parsing time "2001-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#.into())
        );
        assert_eq!(
            seconds("x"),
            Err(r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#.into())
        );
        assert_eq!(
            seconds("2001-13-01T00:00:00Z"),
            Err(r#"parsing time "2001-13-01T00:00:00Z": month out of range"#.into())
        );
    }
}
