//! Quantities of resources.

/// Billionths of one.
const NANO: i128 = 1_000_000_000;

/// Returns a quantity (`100m`, `1.5Gi`, `2e3`) in billionths.
pub(super) fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let places = u32::try_from(part.len()).ok()?;
    let value = format!("{whole}{part}")
        .parse::<i128>()
        .ok()?
        .checked_mul(NANO)?
        .checked_div(10_i128.checked_pow(places)?)?;
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|one| *one == suffix);
    if let Some(steps) = binary.and_then(|steps| u32::try_from(steps).ok()) {
        return value.checked_mul(1024_i128.checked_pow(steps + 1)?);
    }
    let exponent = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        other => other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    };
    let by = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent < 0 { value.checked_div(by) } else { value.checked_mul(by) }
}

/// Returns billionths as the API server writes them, in the manner of an example: with the binary suffixes if that has one.
pub(super) fn write(value: i128, like: &str) -> String {
    if like.ends_with('i') {
        for (name, steps) in [("Ei", 6), ("Pi", 5), ("Ti", 4), ("Gi", 3), ("Mi", 2), ("Ki", 1)] {
            let unit = NANO * 1024_i128.pow(steps);
            if value != 0 && value % unit == 0 {
                return format!("{}{name}", value / unit);
            }
        }
    }
    for (name, exponent) in [("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0)] {
        let unit = NANO * 10_i128.pow(exponent);
        if value % unit == 0 && (value != 0 || name.is_empty()) {
            return format!("{}{name}", value / unit);
        }
    }
    for (name, unit) in [("m", 1_000_000), ("u", 1000)] {
        if value % unit == 0 {
            return format!("{}{name}", value / unit);
        }
    }
    format!("{value}n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written() {
        for (text, same) in [
            ("100m", "100m"),
            ("0.5", "500m"),
            ("1000", "1k"),
            ("1.5Gi", "1536Mi"),
            ("2e3", "2k"),
            ("0", "0"),
            ("1024Ki", "1Mi"),
        ] {
            assert_eq!(write(parse(text).expect("a quantity"), text), same, "{text}");
        }
        assert_eq!(parse("12x"), None);
    }
}
