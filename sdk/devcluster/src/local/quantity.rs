//! Quantities of resources, as the downward API shows them.

/// Billionths of one.
const NANO: i128 = 1_000_000_000;

/// Returns a quantity (`100m`, `1.5Gi`, `2e3`) in billionths.
#[must_use]
pub(super) fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = part.len();
    let value: i128 = format!("{whole}{part}").parse().ok()?;
    let nano = value.checked_mul(NANO)?.checked_div(10_i128.checked_pow(digits.try_into().ok()?)?)?;
    let decimal = |exponent: i32| match u32::try_from(exponent.abs()) {
        Ok(by) if exponent >= 0 => nano.checked_mul(10_i128.checked_pow(by)?),
        Ok(by) => nano.checked_div(10_i128.checked_pow(by)?),
        Err(_) => None,
    };
    let binary = |steps: u32| nano.checked_mul(1024_i128.checked_pow(steps)?);
    match suffix {
        "" => Some(nano),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => decimal(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    }
}

/// Returns how many times a divisor goes into a quantity, rounded up, as the kubelet does.
#[must_use]
pub(super) fn divided(quantity: &str, divisor: &str) -> Option<i128> {
    let divisor = if matches!(divisor, "" | "0") { NANO } else { parse(divisor)? };
    let quantity = parse(quantity)?;
    (divisor > 0).then(|| quantity.div_euclid(divisor) + i128::from(quantity.rem_euclid(divisor) > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_divided_and_rounded_up() {
        assert_eq!(divided("250m", "1"), Some(1));
        assert_eq!(divided("250m", "1m"), Some(250));
        assert_eq!(divided("1.5Gi", "1Mi"), Some(1536));
        assert_eq!(divided("1e3", "0"), Some(1000));
        assert_eq!(divided("12x", "1"), None);
    }
}
