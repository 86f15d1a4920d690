//! Choices by an input's bytes. After the last byte every choice is the first one, so every input ends.

use arbitrary::Unstructured;
use serde_json::{Map, Value, json};

/// The bytes of an input.
pub(crate) struct Choose<'a>(Unstructured<'a>);

impl<'a> Choose<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(Unstructured::new(input))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a number from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        self.0.int_in_range(0..=most).unwrap_or(0)
    }

    /// Returns true once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.up_to(times - 1) == 1
    }

    pub(crate) fn one<'b, T>(&mut self, of: &'b [T]) -> &'b T {
        &of[self.up_to(of.len() - 1)]
    }

    pub(crate) fn word(&mut self, of: &[&'static str]) -> &'static str {
        of[self.up_to(of.len() - 1)]
    }

    pub(crate) fn integer(&mut self) -> i64 {
        const ODD: [i64; 16] = [
            0,
            1,
            -1,
            2,
            7,
            100,
            128,
            255,
            65_535,
            65_536,
            1_000_000,
            2_147_483_647,
            4_294_967_295,
            4_294_967_297,
            i64::MAX,
            i64::MIN,
        ];
        if self.once_in(4) { self.0.arbitrary().unwrap_or(0) } else { *self.one(&ODD) }
    }

    pub(crate) fn float(&mut self) -> f64 {
        const ODD: [f64; 10] =
            [0.0, -0.0, 0.5, 1e21, 1e-7, 1_500_000.0, f64::MAX, f64::MIN_POSITIVE, 9.3e18, 5e-324];
        let any = if self.once_in(4) { self.0.arbitrary().unwrap_or(0.0) } else { *self.one(&ODD) };
        if any.is_finite() { any } else { 1.0 }
    }

    /// Returns raw bytes as text.
    pub(crate) fn raw(&mut self, most: usize) -> String {
        let length = self.up_to(most).min(self.0.len());
        String::from_utf8_lossy(self.0.bytes(length).unwrap_or_default()).into_owned()
    }

    /// Returns an odd text.
    pub(crate) fn text(&mut self) -> String {
        const ODD: [&str; 44] = [
            "",
            "a",
            "b",
            " ",
            "a,b,,c",
            "é",
            "日本",
            "\u{fffd}",
            "\u{0}",
            "\u{7f}",
            "e\u{301}",
            "\n",
            "one\ntwo\r\n\tthree",
            "0",
            "-1",
            "3.5",
            "1e400",
            "0x1p-2",
            "0o17",
            "1_000",
            "99999999999999999999",
            "true",
            "null",
            "nil",
            "{}",
            "[1,2,{\"a\":null}]",
            "{\"a\":1,\"a\":2}",
            "[[[[[[[[]]]]]]]]",
            "2006-01-02T15:04:05Z07:00",
            "Jan _2 002 03:04:05.000000PM -0700 MST",
            "2024-02-29T12:34:56Z",
            "0001-01-01",
            "1h2m3s4ms5us6ns",
            "9999999h",
            "%d %s %v %q %x",
            "%[3]*.[2]*[1]f %#x %+v %T %%",
            "%!",
            "(a|b)*c+?[^d-f]{2,5}$",
            "((a{30}){30}){30}",
            "(?i)(?P<n>x)\\b\\pL",
            "http://u:p@h:80/p?q=%zz#f",
            "../a//b/./c.tar.gz",
            "aGVsbG8=",
            "a.b.c/d-e",
        ];
        match self.up_to(9) {
            0 => self.raw(24),
            1 => {
                let (piece, times) = (self.word(&ODD).repeat(3), self.up_to(400));
                piece.repeat(times)
            }
            _ => self.word(&ODD).to_owned(),
        }
    }

    /// Returns a JSON value, at most about `level` deep.
    pub(crate) fn json(&mut self, level: usize) -> Value {
        if level == 0 && self.once_in(40) {
            let depth = 1 + self.up_to(120);
            return (0..depth).fold(json!("{{ .Mode }}"), |inner, at| {
                if at % 2 == 0 { json!([inner]) } else { json!({ "k": inner }) }
            });
        }
        match self.up_to(if level == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => Value::Bool(self.once_in(2)),
            2 => self.integer().into(),
            3 => self.float().into(),
            4 | 5 => self.text().into(),
            6 => u64::MAX.into(),
            7 => (0..self.up_to(4)).map(|_| self.json(level - 1)).collect(),
            _ => Value::Object(self.object(level - 1)),
        }
    }

    pub(crate) fn object(&mut self, level: usize) -> Map<String, Value> {
        const KEYS: [&str; 12] = [
            "a",
            "k",
            "name",
            "spec",
            "metadata",
            "a/b",
            "a~b",
            "имя",
            "",
            "app.kubernetes.io/name",
            "0",
            "x y",
        ];
        (0..self.up_to(4)).map(|_| (self.word(&KEYS).to_owned(), self.json(level))).collect()
    }
}
