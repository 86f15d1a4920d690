//! What a render may use up: one meter a render, so that many small strings cost as much as one large one.

use std::cell::Cell;

/// Bounds of one render, that is of all strings of one strategy template together, unless an item says otherwise.
/// They exist so that a template fails with a cause that names it, long before the sandbox's own limits trap it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all rendered strings together.
    pub output_bytes: usize,
    /// Bytes of one string made on the way, such as the result of `repeat` or `printf`.
    pub string_bytes: usize,
    /// Items of one list made on the way, such as the result of `until` or `splitList`.
    pub items: usize,
    /// Steps: one for each node visited and function called, and one for each 16 bytes or each item made.
    pub work: u64,
    /// How deep blocks, parentheses and calls of named templates may nest, all together.
    pub depth: usize,
}

impl Default for Bounds {
    /// 1 MiB of output, strings of 1 MiB, lists of 65,536 items, 2,000,000 steps, 100 levels.
    fn default() -> Self {
        Self { output_bytes: 1 << 20, string_bytes: 1 << 20, items: 1 << 16, work: 2_000_000, depth: 100 }
    }
}

/// Counts what is left of [`Bounds`].
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

    /// True once nothing may be done any more, so that no further string needs to be tried.
    pub(crate) fn exhausted(&self) -> bool {
        self.work.get() == 0 || self.output.get() == 0
    }

    /// The steps that are left.
    pub(crate) fn work_left(&self) -> u64 {
        self.work.get()
    }

    /// The bytes that may still be put out.
    pub(crate) fn output_left(&self) -> usize {
        self.output.get()
    }

    /// Pays for `steps`.
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

    /// Pays for a string of `bytes` before it is made.
    pub(crate) fn string(&self, bytes: usize) -> Result<(), String> {
        if bytes > self.bounds.string_bytes {
            let most = self.bounds.string_bytes;
            return Err(format!("makes a string of more than {most} bytes; use a smaller count or width"));
        }
        self.spend(bytes as u64 / 16 + 1)
    }

    /// Pays for a list of `count` items before it is made.
    pub(crate) fn items(&self, count: usize) -> Result<(), String> {
        if count > self.bounds.items {
            return Err(format!(
                "makes a list of more than {} items; use a smaller count",
                self.bounds.items
            ));
        }
        self.spend(count as u64 + 1)
    }

    /// Pays for `bytes` of a rendered string.
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
