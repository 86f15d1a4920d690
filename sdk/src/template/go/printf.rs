//! `print`, `println` and `printf` with Go's verbs, flags, widths and precisions, and with Go's error texts for a verb
//! that does not fit a value.

use super::super::meter::Meter;
use super::printer::{Flags, Printer};
use super::quote;
use super::value::Value;

/// Go's maximum width of a field.
const MAX_WIDTH: i64 = 1_000_000;

/// Formats as `print`: a space only between two operands that are both no strings.
pub(super) fn print(values: &[Value], meter: &Meter) -> Result<Vec<u8>, String> {
    let mut printer = Printer::new(meter);
    let mut after_string = false;
    for (index, value) in values.iter().enumerate() {
        let string = matches!(value, Value::Str(_));
        if index > 0 && !string && !after_string {
            printer.sink.str(" ");
        }
        printer.operand(value, 'v');
        after_string = string;
    }
    printer.finish(meter)
}

/// Formats as `println`: a space between all operands.
pub(super) fn println(values: &[Value], meter: &Meter) -> Result<Vec<u8>, String> {
    let mut printer = Printer::new(meter);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.sink.str(" ");
        }
        printer.operand(value, 'v');
    }
    printer.sink.str("\n");
    printer.finish(meter)
}

/// Formats as `printf`.
pub(super) fn printf(format: &[u8], values: &[Value], meter: &Meter) -> Result<Vec<u8>, String> {
    let mut printer = Printer::new(meter);
    Format { text: format, at: 0, values, next: 0, reordered: false, good: true }.run(&mut printer);
    printer.finish(meter)
}

/// Formats one value as `%v`.
pub(super) fn text(value: &Value, meter: &Meter) -> Result<Vec<u8>, String> {
    if let Value::Str(text) = value {
        return Ok(text.to_vec());
    }
    print(std::slice::from_ref(value), meter)
}

/// A format that is being read.
struct Format<'a> {
    text: &'a [u8],
    at: usize,
    values: &'a [Value],
    next: usize,
    reordered: bool,
    good: bool,
}

impl Format<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn run(mut self, printer: &mut Printer) {
        while self.at < self.text.len() {
            let plain =
                self.text[self.at..].iter().position(|b| *b == b'%').unwrap_or(self.text.len() - self.at);
            printer.sink.push(&self.text[self.at..self.at + plain]);
            self.at += plain;
            if self.at < self.text.len() {
                self.at += 1;
                self.verb(printer);
            }
        }
        if !self.reordered && self.next < self.values.len() {
            printer.flags = Flags::default();
            printer.sink.str("%!(EXTRA ");
            for (index, value) in self.values[self.next..].iter().enumerate() {
                if index > 0 {
                    printer.sink.str(", ");
                }
                printer.typed(value);
            }
            printer.sink.str(")");
        }
    }

    /// Reads one `%` with its flags and verb.
    fn verb(&mut self, printer: &mut Printer) {
        self.good = true;
        printer.flags = Flags::default();
        while let Some(flag) = self.peek() {
            match flag {
                b'#' => printer.flags.sharp = true,
                b'0' => printer.flags.zero = true,
                b'+' => printer.flags.plus = true,
                b'-' => printer.flags.minus = true,
                b' ' => printer.flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut indexed = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            let width = self.star();
            if width.is_none() {
                printer.sink.str("%!(BADWIDTH)");
            }
            if width.is_some_and(|width| width < 0) {
                printer.flags.minus = true;
                printer.flags.zero = false;
            }
            printer.flags.width = width.map(|width| width.unsigned_abs() as usize);
            indexed = false;
        } else {
            printer.flags.width = self.number();
            if indexed && printer.flags.width.is_some() {
                self.good = false;
            }
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.text.len() {
            self.at += 1;
            if indexed {
                self.good = false;
            }
            indexed = self.index();
            if self.peek() == Some(b'*') {
                self.at += 1;
                printer.flags.precision = self.star().and_then(|precision| usize::try_from(precision).ok());
                if printer.flags.precision.is_none() {
                    printer.sink.str("%!(BADPREC)");
                }
                indexed = false;
            } else {
                printer.flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !indexed {
            self.index();
        }
        if self.at >= self.text.len() {
            printer.sink.str("%!(NOVERB)");
            return;
        }
        let (verb, length) = quote::next_char(&self.text[self.at..]);
        let verb = verb.unwrap_or('\u{fffd}');
        self.at += length;
        match self.values.get(self.next) {
            _ if verb == '%' => printer.sink.str("%"),
            _ if !self.good => printer.complaint(verb, "(BADINDEX)"),
            None => printer.complaint(verb, "(MISSING)"),
            Some(value) => {
                if matches!(verb, 'v' | 'w') {
                    printer.flags.sharp_v = std::mem::take(&mut printer.flags.sharp);
                    printer.flags.plus = false;
                }
                printer.operand(value, verb);
                self.next += 1;
            }
        }
    }

    /// Reads a decimal number, if there is one. A number that is too large consumes the rest of the format, as in Go.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let so_far = number.unwrap_or(0);
            if so_far > MAX_WIDTH {
                self.at = self.text.len();
                return None;
            }
            number = Some(so_far * 10 + i64::from(digit - b'0'));
            self.at += 1;
        }
        number.and_then(|number| usize::try_from(number).ok())
    }

    /// Reads `[n]`, the number of the next operand. Returns whether there was one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.text[self.at..];
        let Some(end) = rest.iter().position(|b| *b == b']') else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let digits = std::str::from_utf8(&rest[1..end]).unwrap_or_default();
        let number = digits.parse::<usize>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        self.at += end + 1;
        match number {
            Some(number) if (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                true
            }
            other => {
                self.good = false;
                other.is_some()
            }
        }
    }

    /// Reads a width or precision from an operand.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value {
            Value::Int(n) | Value::Int64(n) => *n,
            Value::Byte(n) => i64::from(*n),
            _ => return None,
        };
        (-MAX_WIDTH..=MAX_WIDTH).contains(&number).then_some(number)
    }
}
