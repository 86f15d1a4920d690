//! Floats as text, in Go's format.

/// The maximum number of digits of a float that are not zero. The formatter of the standard library accepts at most
/// 65,535 digits.
const EXACT: usize = 1100;

fn zeros(precision: usize) -> String {
    "0".repeat(precision.saturating_sub(EXACT))
}

/// Returns the shortest digits that read back as `f`, without sign, and the exponent of the first digit: 1.5e6 is
/// ("15", 6).
fn shortest(f: f64) -> (String, i32) {
    scientific(&format!("{:e}", f.abs()))
}

/// Returns `digits` correctly rounded digits, without trailing zeros.
fn rounded(f: f64, digits: usize) -> (String, i32) {
    let (mut text, exponent) = scientific(&format!("{:.*e}", (digits - 1).min(EXACT), f.abs()));
    text.truncate(text.trim_end_matches('0').len().max(1));
    (text, exponent)
}

fn scientific(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn with_exponent(digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{:02}", exponent.abs())
}

/// Formats `f` with Go's `verb` (`e`, `f` or `g`) and `precision`, or with as many digits as needed. Only negative
/// numbers have a sign, and infinities: `+Inf` and `-Inf`.
pub(super) fn format(f: f64, verb: u8, precision: Option<usize>) -> String {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let magnitude = match (verb, precision) {
        (b'e', None) => {
            let (digits, exponent) = shortest(f);
            with_exponent(&digits, exponent)
        }
        (b'e', Some(precision)) => {
            let (digits, exponent) = scientific(&format!("{:.*e}", precision.min(EXACT), f.abs()));
            with_exponent(&(digits + &zeros(precision)), exponent)
        }
        (b'f', None) => format!("{}", f.abs()),
        (b'f', Some(precision)) => format!("{:.*}", precision.min(EXACT), f.abs()) + &zeros(precision),
        (_, precision) => general(f, precision),
    };
    if f.is_sign_negative() { format!("-{magnitude}") } else { magnitude }
}

/// Formats as `%g`: the exponent selects one of the other two formats.
fn general(f: f64, precision: Option<usize>) -> String {
    let (digits, exponent, limit) = match precision {
        None => {
            let (digits, exponent) = shortest(f);
            (digits, exponent, 6)
        }
        Some(precision) => {
            let (digits, exponent) = rounded(f, precision.max(1));
            let whole = usize::try_from(exponent + 1).is_ok_and(|point| digits.len() >= point);
            let limit = if whole { precision.max(1).min(digits.len()) } else { precision.max(1) };
            (digits, exponent, i32::try_from(limit).unwrap_or(i32::MAX))
        }
    };
    if exponent < -4 || exponent >= limit {
        return with_exponent(&digits, exponent);
    }
    plain(&digits, exponent)
}

/// Writes digits with a decimal point at the place of the exponent.
fn plain(digits: &str, exponent: i32) -> String {
    match usize::try_from(exponent) {
        Err(_) => format!("0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
        Ok(point) if digits.len() <= point + 1 => format!("{digits}{}", "0".repeat(point + 1 - digits.len())),
        Ok(point) => format!("{}.{}", &digits[..=point], &digits[point + 1..]),
    }
}

/// Formats as `{{ f }}` does.
pub(super) fn printed(f: f64) -> String {
    format(f, b'g', None)
}

/// Formats as Go's JSON encoder does; `f` must be finite.
pub(super) fn json(f: f64) -> String {
    let magnitude = f.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return unpadded(format(f, b'e', None));
    }
    format(f, b'f', None)
}

/// Changes `1e-07` to `1e-7`: only negative exponents are padded.
fn unpadded(text: String) -> String {
    match text.rfind("e-0") {
        Some(at) if at + 4 == text.len() => format!("{}e-{}", &text[..at], &text[at + 3..]),
        _ => text,
    }
}

/// Parses a float by Go's rules: decimal or hexadecimal, `_` between digits, `inf` and `nan`. `None` if the text is no
/// float or out of range.
pub(super) fn parse(text: &str) -> Option<f64> {
    if text.contains('_') {
        return if separates(text.as_bytes()) { parse(&text.replace('_', "")) } else { None };
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        let magnitude = parse_hex(hex)?;
        return Some(if text.starts_with('-') { -magnitude } else { magnitude });
    }
    let magnitude = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        decimal => parse_decimal(decimal)?,
    };
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// Parses digits with a point and a decimal exponent, each of which may be missing. It uses the JSON reader, which is
/// linked anyway and rounds as well as the standard library's, which adds 15 KB.
fn parse_decimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let sound = digits(whole) && digits(fraction) && digits(power);
    if !sound || power.is_empty() || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    serde_json::from_str(&format!("{whole}.{fraction}0e{exponent}")).ok()
}

/// Whether each underscore is between digits or after a base prefix.
fn separates(text: &[u8]) -> bool {
    let digit = |at: Option<&u8>| at.is_some_and(|b| b.is_ascii_hexdigit() || matches!(b, b'x' | b'X'));
    (0..text.len())
        .all(|at| text[at] != b'_' || (at > 0 && digit(text.get(at - 1)) && digit(text.get(at + 1))))
}

/// Parses hexadecimal digits with a point and a binary exponent, which is required.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // More than 13 digits would need rounding by hand, and do not occur in templates.
    if digits.is_empty() || digits.len() > 13 {
        return None;
    }
    let mantissa = u64::from_str_radix(&digits, 16).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    let scaled = mantissa as f64 * 2f64.powi(exponent.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?);
    scaled.is_finite().then_some(scaled)
}
