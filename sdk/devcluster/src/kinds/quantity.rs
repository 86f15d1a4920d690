//! Amounts of resources.

use std::cmp::Ordering;
use std::fmt;

/// How an amount is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `1k`, `500m`.
    Decimal,
    /// `1Ki`.
    Binary,
    /// `1e3`.
    Exponent,
}

/// An amount, exact to a billionth.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// In billionths.
    nanos: i128,
    format: Format,
}

const NANOS: i128 = 1_000_000_000;
const SUFFIXES: [(&str, i32); 9] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15)];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Quantity {
    /// Reads an amount, such as `100m`, `1.5Gi` or `1e3`.
    ///
    /// # Errors
    /// The words of the API server.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                .to_owned()
        };
        if text.is_empty() {
            return Err(wrong());
        }
        let (negative, unsigned) = match text.strip_prefix(['+', '-']) {
            Some(unsigned) => (text.starts_with('-'), unsigned),
            None => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(fraction) || whole.len() + fraction.len() > 30
        {
            return Err(wrong());
        }
        let digits: i128 = format!("0{whole}{fraction}").parse().map_err(|_| wrong())?;
        let (format, scale, power) = scale_of(suffix).ok_or_else(wrong)?;
        let decimals = i32::try_from(fraction.len()).map_err(|_| wrong())?;
        let tens = power - decimals + 9;
        let scaled = digits.checked_mul(scale).ok_or_else(wrong)?;
        let nanos = if tens >= 0 {
            let by = 10_i128.checked_pow(tens.unsigned_abs()).ok_or_else(wrong)?;
            scaled.checked_mul(by).ok_or_else(wrong)?
        } else {
            // What is less than a billionth is rounded up.
            10_i128.checked_pow(tens.unsigned_abs()).map_or(0, |by| scaled / by + i128::from(scaled % by > 0))
        };
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// Returns the amount in whole units, rounded up.
    #[must_use]
    pub fn value(&self) -> i128 {
        self.nanos.div_euclid(NANOS) + i128::from(self.nanos.rem_euclid(NANOS) > 0)
    }

    /// Returns the amount in billionths.
    #[must_use]
    pub fn nanos(&self) -> i128 {
        self.nanos
    }

    /// Returns the sum, written as the first is.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { nanos: self.nanos + other.nanos, format: self.format }
    }

    /// Returns the amount zero.
    #[must_use]
    pub fn zero() -> Self {
        Self { nanos: 0, format: Format::Decimal }
    }

    fn decimal(nanos: i128) -> (i128, i32) {
        let (mut number, mut power) = (nanos, -9);
        while number != 0 && number % 1000 == 0 && power < 18 {
            (number, power) = (number / 1000, power + 3);
        }
        if number == 0 { (0, 0) } else { (number, power) }
    }
}

/// Returns the format of a suffix, its factor, and its power of ten.
fn scale_of(suffix: &str) -> Option<(Format, i128, i32)> {
    if let Some((_, power)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) {
        return Some((Format::Decimal, 1, *power));
    }
    if suffix == "E" {
        return Some((Format::Decimal, 1, 18));
    }
    if let Some(i) = BINARY.iter().position(|name| *name == suffix) {
        return Some((Format::Binary, 1024_i128.checked_pow(u32::try_from(i).ok()? + 1)?, 0));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let power = exponent.parse::<i32>().ok().filter(|power| (-18..=18).contains(power))?;
    Some((Format::Exponent, 1, power))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.nanos / NANOS;
        // Small amounts and fractions have no binary form.
        if self.format == Format::Binary && self.nanos % NANOS == 0 && number.abs() >= 1024 {
            let mut suffix = "";
            for name in BINARY {
                if number % 1024 != 0 {
                    break;
                }
                (number, suffix) = (number / 1024, name);
            }
            return write!(f, "{number}{suffix}");
        }
        let (number, power) = Self::decimal(self.nanos);
        match self.format {
            Format::Exponent if power == 0 => write!(f, "{number}"),
            Format::Exponent => write!(f, "{number}e{power}"),
            _ if power == 18 => write!(f, "{number}E"),
            _ => {
                let suffix = SUFFIXES.iter().find(|(_, one)| *one == power).map_or("", |(name, _)| *name);
                write!(f, "{number}{suffix}")
            }
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_in_their_plain_form() {
        for (given, plain) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1e3"),
            ("1500", "1500"),
            ("100000", "100k"),
            ("0", "0"),
            ("-1", "-1"),
            ("512", "512"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("1E", "1E"),
            ("2048Ki", "2Mi"),
        ] {
            assert_eq!(
                Quantity::parse(given).map(|quantity| quantity.to_string()).as_deref(),
                Ok(plain),
                "{given}"
            );
        }
        assert!(
            Quantity::parse("lots").is_err()
                && Quantity::parse("").is_err()
                && Quantity::parse("1.2.3").is_err()
        );
        assert!(Quantity::parse("2").expect("2") > Quantity::parse("1999m").expect("1999m"));
    }
}
