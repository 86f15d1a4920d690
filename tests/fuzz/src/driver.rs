//! The loop: makes inputs from a seed, runs a target on each, and prints the line that replays a bad one.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A target: runs the code on an input and checks the result. A panic is a fault too.
pub type Target = fn(&[u8]) -> Result<(), String>;

/// The inputs to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Seed of the first input; each further one has the next number.
    pub seed: u64,
    /// Number of inputs.
    pub count: u64,
    /// When to stop, whatever the count; none in tests.
    pub at_most: Option<Duration>,
}

/// An input with a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The seed that made it.
    pub seed: u64,
    /// The fault.
    pub fault: String,
    /// The smallest input with that fault.
    pub input: Vec<u8>,
}

/// Runs a target; returns the number of good inputs, and the first bad one.
pub fn run(plan: Plan, mut target: impl FnMut(&[u8]) -> Result<(), String>) -> (u64, Option<Found>) {
    let begun = Instant::now();
    for done in 0..plan.count {
        if plan.at_most.is_some_and(|most| begun.elapsed() >= most) {
            return (done, None);
        }
        let seed = plan.seed.wrapping_add(done);
        let input = input(seed);
        if let Err(fault) = judge(&mut target, &input) {
            let (input, fault) = smaller(&mut target, input, fault);
            return (done, Some(Found { seed, fault, input }));
        }
    }
    (plan.count, None)
}

/// Runs a target on an input. A panic becomes its message.
///
/// # Errors
/// The fault.
pub fn judge(target: &mut impl FnMut(&[u8]) -> Result<(), String>, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message");
        Err(format!("it panicked: {text}"))
    })
}

/// Returns the bytes of a seed: usually few, sometimes up to 4 KiB.
#[must_use]
pub fn input(seed: u64) -> Vec<u8> {
    // splitmix64: adjacent seeds give unrelated bytes.
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let length = 32usize << (next() % 8);
    (0..length / 8).flat_map(|_| next().to_le_bytes()).collect()
}

/// Shrinks an input by cutting and zeroing, within a few thousand tries.
fn smaller(
    target: &mut impl FnMut(&[u8]) -> Result<(), String>,
    mut input: Vec<u8>,
    mut fault: String,
) -> (Vec<u8>, String) {
    let mut tries = 2000;
    let mut piece = input.len().div_ceil(2).max(1);
    while piece > 0 && tries > 0 {
        let mut at = 0;
        while at < input.len() && tries > 0 {
            let end = (at + piece).min(input.len());
            let cut = [&input[..at], &input[end..]].concat();
            let mut zeroed = input.clone();
            zeroed[at..end].fill(0);
            let mut kept = false;
            for other in [cut, zeroed] {
                tries -= 1;
                if other != input
                    && let Err(other_fault) = judge(target, &other)
                {
                    (input, fault, kept) = (other, other_fault, true);
                    break;
                }
            }
            if !kept || at + piece < input.len() {
                at += piece;
            }
            if kept && input.get(at..).is_none_or(|rest| rest.iter().all(|b| *b == 0)) {
                break;
            }
        }
        piece /= 2;
    }
    (input, fault)
}

/// Encodes bytes for a command line.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Decodes such a text; none if it is invalid.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Returns the command line that replays an input.
#[must_use]
pub fn replay(target: &str, input: &[u8]) -> String {
    format!("cargo run -p backstay-fuzz -- {target} --replay {}", hex(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_and_made_small_and_its_line_brings_it_back() {
        let bad = |input: &[u8]| match input.iter().position(|b| *b == 0x7f) {
            Some(_) if input.len() > 2 => Err("it holds 7f".to_owned()),
            _ => Ok(()),
        };
        let (fine, found) = run(Plan { seed: 1, count: 10_000, at_most: None }, bad);
        let found = found.expect("7f comes up");
        assert!(fine < 10_000 && found.input.len() <= 16, "{found:?}");
        let line = replay("x", &found.input);
        let text = line.rsplit(' ').next().expect("it has words");
        assert_eq!(unhex(text), Some(found.input.clone()));
        assert!(bad(&found.input).is_err());
    }

    #[test]
    fn a_panic_is_a_fault() {
        let (_, found) = run(Plan { seed: 1, count: 1, at_most: None }, |_| panic!("{} legs", 3));
        assert_eq!(found.expect("it panics").fault, "it panicked: 3 legs");
    }

    #[test]
    fn equal_seeds_make_equal_inputs() {
        assert_eq!(input(7), input(7));
        assert_ne!(input(7), input(8));
    }
}
