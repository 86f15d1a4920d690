//! A bounded buffer for text. It drops text beyond the bound and remembers that it did, so that the formatting code
//! needs no checks.

use super::super::meter::Meter;
use super::value::MAX_NESTING;

#[derive(Debug)]
pub(super) struct Sink {
    bytes: Vec<u8>,
    limit: usize,
    trouble: Option<String>,
}

impl Sink {
    /// Makes a buffer for one string, bounded by `string_bytes`.
    pub(super) fn new(meter: &Meter) -> Self {
        Self { bytes: Vec::new(), limit: meter.bounds().string_bytes, trouble: None }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.has_room(bytes.len()) {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn has_room(&mut self, count: usize) -> bool {
        if self.bytes.len().saturating_add(count) > self.limit {
            self.fail(format!(
                "makes a string of more than {} bytes; use a smaller count or width",
                self.limit
            ));
        }
        self.trouble.is_none()
    }

    pub(super) fn str(&mut self, text: &str) {
        self.push(text.as_bytes());
    }

    pub(super) fn repeat(&mut self, byte: u8, count: usize) {
        if self.has_room(count) {
            self.bytes.resize(self.bytes.len() + count, byte);
        }
    }

    /// Notes an error. The first one wins, and nothing more is written.
    pub(super) fn fail(&mut self, cause: String) {
        self.trouble.get_or_insert(cause);
    }

    /// Whether to enter the next level of a value.
    pub(super) fn enter(&mut self, level: usize) -> bool {
        if level > MAX_NESTING {
            self.fail(format!("the value is nested more than {MAX_NESTING} levels deep, or holds itself"));
        }
        self.trouble.is_none()
    }

    /// Charges the meter and returns the text, or returns the error.
    pub(super) fn finish(self, meter: &Meter) -> Result<Vec<u8>, String> {
        meter.spend(self.bytes.len() as u64 / 16 + 1)?;
        match self.trouble {
            Some(cause) => Err(cause),
            None => Ok(self.bytes),
        }
    }
}
