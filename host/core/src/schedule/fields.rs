//! Parses one field of a cron expression to a set of values.

use super::error::{ItemProblem, ScheduleError};
use super::field::Field;

/// A set of values of one field, each below 64, and whether the field is unrestricted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Values {
    bits: u64,
    star: bool,
}

impl Values {
    pub(super) const fn has(self, value: u32) -> bool {
        value < 64 && self.bits & (1 << value) != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Returns whether some item is `*` or `?` with step 1. `*/2` restricts, though it begins with a star.
    pub(super) const fn is_star(self) -> bool {
        self.star
    }

    pub(super) fn first_from(self, value: u32) -> Option<u32> {
        let rest = self.bits & !below(value);
        (rest != 0).then(|| rest.trailing_zeros())
    }

    pub(super) fn last_before(self, value: u32) -> Option<u32> {
        let rest = self.bits & below(value);
        (rest != 0).then(|| 63 - rest.leading_zeros())
    }

    pub(super) fn count_before(self, value: u32) -> u32 {
        (self.bits & below(value)).count_ones()
    }
}

/// Returns the set of all values below `value`.
fn below(value: u32) -> u64 {
    if value < 64 { (1 << value) - 1 } else { u64::MAX }
}

/// Parses one field: items separated by commas. Empty items are ignored, as in the Go implementation.
pub(super) fn parse(field: Field, text: &str) -> Result<Values, ScheduleError> {
    let mut all = Values::default();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let values = parse_item(field, item).map_err(|problem| ScheduleError::item(field, item, problem))?;
        all.bits |= values.bits;
        all.star |= values.star;
    }
    Ok(all)
}

/// Parses `*`, `?`, `N` or `N-M`, each with an optional `/step`. `N/step` goes up to the field's largest value.
fn parse_item(field: Field, item: &str) -> Result<Values, ItemProblem> {
    let (min, max) = field.bounds();
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(parse_step(step)?)),
        None => (item, None),
    };
    let every = matches!(range, "*" | "?");
    let (first, last) = match range.split_once('-') {
        _ if every => (min, max),
        Some((first, last)) => (bounded(field, first)?, bounded(field, last)?),
        None => {
            let value = bounded(field, range)?;
            (value, if step.is_some() { max } else { value })
        }
    };
    if first > last {
        return Err(ItemProblem::Wrapped);
    }
    let step = step.unwrap_or(1);
    let bits = (first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value);
    Ok(Values { bits, star: every && step == 1 })
}

fn parse_step(text: &str) -> Result<usize, ItemProblem> {
    match text.parse() {
        Ok(0) => Err(ItemProblem::ZeroStep),
        Ok(step) => Ok(step),
        Err(_) => Err(ItemProblem::NotAStep),
    }
}

fn bounded(field: Field, text: &str) -> Result<u32, ItemProblem> {
    let (min, max) = field.bounds();
    let value = field.value(text).ok_or(ItemProblem::NotAValue)?;
    u32::try_from(value).ok().filter(|value| (min..=max).contains(value)).ok_or(ItemProblem::OutOfRange)
}
