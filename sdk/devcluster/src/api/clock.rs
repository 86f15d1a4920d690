//! Time and chance of the API server: both come from outside, so that a run can be repeated.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp, fmt::strtime};

/// What time it is.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// A clock that goes with tokio's, and so stands still where that is paused.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    begun: tokio::time::Instant,
    at: Timestamp,
}

impl TokioClock {
    /// Returns a clock that shows this time now.
    #[must_use]
    pub fn starting_at(at: Timestamp) -> Self {
        Self { begun: tokio::time::Instant::now(), at }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let gone = SignedDuration::try_from(self.begun.elapsed()).unwrap_or(SignedDuration::MAX);
        self.at.saturating_add(gone).unwrap_or(Timestamp::MAX)
    }
}

/// Returns a time as the API server writes it in metadata: whole seconds of UTC.
pub(crate) fn seconds(time: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", time).unwrap_or_default()
}

/// Returns the time that a text of metadata names.
pub(crate) fn parsed(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Returns how long a span of seconds is in words, as kubectl shows ages: its two largest units.
pub(crate) fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let and = |large: String, rest: i64, unit: char| {
        if rest == 0 { large } else { format!("{large}{rest}{unit}") }
    };
    match seconds {
        i64::MIN..-1 => "<invalid>".into(),
        -1..120 => format!("{}s", seconds.max(0)),
        120..600 => and(format!("{minutes}m"), seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => and(format!("{hours}h"), minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => and(format!("{days}d"), hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => and(format!("{}y", days / 365), days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// Uids and generated names: the same seed gives the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Ids(u64);

/// What the counter of the generator is increased by.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The letters of generated names: none that makes a word.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From what it goes on.
    pub(crate) fn state(&self) -> u64 {
        self.0
    }

    /// Leaves out this many: they may have been given already.
    pub(crate) fn skip(&mut self, count: u64) {
        self.0 = self.0.wrapping_add(STEP.wrapping_mul(count));
    }

    /// The generator splitmix64: a counter, mixed in a way that gives each of its values another number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a new uid: a UUID of version 4.
    pub(crate) fn uid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (high, low) = ((high & !0xf000) | 0x4000, (low & !(3 << 62)) | (2 << 62));
        let mut text = String::with_capacity(36);
        let _ = write!(text, "{:08x}-{:04x}-{:04x}-", high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        let _ = write!(text, "{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff);
        text
    }

    /// Returns a name that begins with this: at most 58 characters of it, and five new ones.
    pub(crate) fn name(&mut self, prefix: &str) -> String {
        let mut name: String = prefix.chars().take(58).collect();
        let mut chance = self.next();
        for _ in 0..5 {
            let letter = LETTERS.get((chance % LETTERS.len() as u64) as usize).copied().unwrap_or(b'b');
            name.push(char::from(letter));
            chance /= LETTERS.len() as u64;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_uuids_of_version_4_and_repeat_with_the_seed() {
        let uid = Ids::new(7).uid();
        assert_eq!(uid, Ids::new(7).uid());
        assert_ne!(uid, Ids::new(8).uid());
        assert_eq!((uid.len(), uid.as_bytes().get(14)), (36, Some(&b'4')));
    }

    #[test]
    fn uids_go_on_where_they_were() {
        let mut ids = Ids::new(7);
        ids.uid();
        let (mut same, mut later) = (Ids::new(ids.state()), Ids::new(ids.state()));
        later.skip(4);
        let of = |ids: &mut Ids| [ids.uid(), ids.uid(), ids.uid()];
        let (one, two) = (of(&mut ids), of(&mut same));
        assert_eq!(one, two);
        assert_eq!(later.uid(), one[2], "two uids are four numbers");
    }

    #[test]
    fn ages_have_at_most_two_units() {
        assert_eq!([age(5), age(119), age(125), age(86_400 * 3)], ["5s", "119s", "2m5s", "3d"]);
    }

    #[test]
    fn a_long_prefix_is_cut_so_that_the_name_has_63_characters() {
        assert_eq!(Ids::new(1).name(&"x".repeat(80)).len(), 63);
    }
}
