//! The budget of a render. There is one for all strings, so that many small strings cost as much as one large one.

use std::cell::Cell;

/// The bounds of one render: of all strings of one strategy template together, unless a field says otherwise. A
/// template that exceeds one fails with an error that names the field, long before it reaches the limits of the
/// sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all rendered strings together.
    pub output_bytes: usize,
    /// Bytes of one intermediate string, such as the result of `repeat` or `printf`.
    pub string_bytes: usize,
    /// Items of one intermediate list, such as the result of `until` or `splitList`.
    pub items: usize,
    /// Steps: one per visited node and called function, and one per 16 bytes or item made.
    pub work: u64,
    /// Maximum depth of nested blocks, parentheses and calls of named templates together.
    pub depth: usize,
}

impl Default for Bounds {
    /// 1 MiB of output, strings of 1 MiB, lists of 65,536 items, 2,000,000 steps, 100 levels.
    fn default() -> Self {
        Self { output_bytes: 1 << 20, string_bytes: 1 << 20, items: 1 << 16, work: 2_000_000, depth: 100 }
    }
}

/// The rest of the [`Bounds`] of a render.
#[derive(Debug)]
pub(crate) struct Meter {
    bounds: Bounds,
    work: Cell<u64>,
    output: Cell<usize>,
}

impl Meter {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, work: Cell::new(bounds.work), output: Cell::new(bounds.output_bytes) }
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Whether no further string needs to be tried, because a bound was exceeded.
    pub(crate) fn exhausted(&self) -> bool {
        self.work.get() == 0 || self.output.get() == 0
    }

    /// Returns the steps that are left.
    pub(crate) fn work_left(&self) -> u64 {
        self.work.get()
    }

    /// Returns the bytes of output that are left.
    pub(crate) fn output_left(&self) -> usize {
        self.output.get()
    }

    /// Charges for `steps`.
    pub(crate) fn spend(&self, steps: u64) -> Result<(), String> {
        match self.work.get().checked_sub(steps) {
            Some(left) => {
                self.work.set(left);
                Ok(())
            }
            None => {
                self.work.set(0);
                Err(format!(
                    "the template takes more than {} steps; does a range never end, or work on far too much?",
                    self.bounds.work
                ))
            }
        }
    }

    /// Charges for a string of `bytes` before it is made.
    pub(crate) fn string(&self, bytes: usize) -> Result<(), String> {
        if bytes > self.bounds.string_bytes {
            let most = self.bounds.string_bytes;
            return Err(format!("makes a string of more than {most} bytes; use a smaller count or width"));
        }
        self.spend(bytes as u64 / 16 + 1)
    }

    /// Charges for a list of `count` items before it is made.
    pub(crate) fn items(&self, count: usize) -> Result<(), String> {
        if count > self.bounds.items {
            return Err(format!(
                "makes a list of more than {} items; use a smaller count",
                self.bounds.items
            ));
        }
        self.spend(count as u64 + 1)
    }

    /// Charges for `bytes` of a rendered string.
    pub(crate) fn output(&self, bytes: usize) -> Result<(), String> {
        match self.output.get().checked_sub(bytes) {
            Some(left) => {
                self.output.set(left);
                Ok(())
            }
            None => {
                self.output.set(0);
                Err(format!(
                    "all rendered strings together have more than {} bytes; render less",
                    self.bounds.output_bytes
                ))
            }
        }
    }
}
