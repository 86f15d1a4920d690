//! The clock of the process. Between two looks at other clocks it counts on by the machine's monotonic clock.
//!
//! The times in objects are those of the API server, so that is whose clock counts: the `Date` of its answers, and the
//! machine's clock as long as it says nothing. A machine that was suspended is noticed by the time since its boot, which
//! goes on (docs/decisions/0017-whose-clock-counts.md).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// A smaller difference from another clock is left alone: a `Date` has whole seconds, and answers take their time.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
/// How long a `Date` counts. Each watch begins anew after some minutes, so the API server is heard more often than that.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// Half of the resolution of a `Date`.
const HALF_A_SECOND: SignedDuration = SignedDuration::from_millis(500);

/// The clocks of the machine.
pub trait Machine: Send + Sync {
    /// Returns the time of day.
    fn wall(&self) -> Timestamp;

    /// Returns the time since some moment, without the time that the machine was suspended.
    fn running(&self) -> Duration;

    /// Returns the time since the machine was booted, with the time that it was suspended; `None` if it cannot be read.
    fn since_boot(&self) -> Option<Duration>;
}

/// The machine that the process runs on.
struct ThisMachine {
    origin: Instant,
}

impl Machine for ThisMachine {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn running(&self) -> Duration {
        self.origin.elapsed()
    }

    fn since_boot(&self) -> Option<Duration> {
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        Duration::try_from_secs_f64(uptime.split_whitespace().next()?.parse().ok()?).ok()
    }
}

/// The clock. Clones show the same time.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    machine: Box<dyn Machine>,
    state: Mutex<State>,
}

struct State {
    /// The time when the monotonic clock was at zero.
    epoch: Timestamp,
    /// What the API server said last, and when that was since boot.
    heard: Option<(Timestamp, SignedDuration)>,
}

/// A clock that was set to another time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// How far it was set forward, or back.
    pub by: SignedDuration,
    /// Whose time it shows now.
    pub like: &'static str,
}

impl Clock {
    /// Starts the clock at the machine's time.
    #[must_use]
    pub fn start() -> Self {
        Self::on(Box::new(ThisMachine { origin: Instant::now() }))
    }

    /// Starts the clock at the time of a machine.
    #[must_use]
    pub fn on(machine: Box<dyn Machine>) -> Self {
        let epoch = later(machine.wall(), -signed(machine.running()));
        Self(Arc::new(Inner { machine, state: Mutex::new(State { epoch, heard: None }) }))
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        later(self.0.state.lock().epoch, signed(self.0.machine.running()))
    }

    /// Notes the `Date` of an answer of the API server that has just come.
    pub fn heard(&self, date: Timestamp) {
        let at = self.since_boot();
        self.0.state.lock().heard = Some((later(date, HALF_A_SECOND), at));
    }

    /// Compares the clock with the others, and sets it if it differs by more than some seconds. The caller looks again at
    /// everything that waits for a time.
    pub fn check(&self) -> Option<Jump> {
        let at = self.since_boot();
        let heard = self.0.state.lock().heard;
        let (right, like) = match heard {
            Some((date, then)) if at - then < FRESH => (later(date, at - then), "the API server"),
            _ => (self.0.machine.wall(), "the machine"),
        };
        let by = right.duration_since(self.now());
        if by.abs() <= TOLERANCE {
            return None;
        }
        let mut state = self.0.state.lock();
        state.epoch = later(state.epoch, by);
        Some(Jump { by, like })
    }

    fn since_boot(&self) -> SignedDuration {
        let machine = &self.0.machine;
        signed(machine.since_boot().unwrap_or_else(|| machine.running()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose clocks a test sets, in seconds: the time of day, since boot, and without suspensions.
    #[derive(Clone)]
    struct Clocks(Arc<Mutex<(i64, u64, u64)>>);

    impl Machine for Clocks {
        fn wall(&self) -> Timestamp {
            at(self.0.lock().0)
        }

        fn running(&self) -> Duration {
            Duration::from_secs(self.0.lock().2)
        }

        fn since_boot(&self) -> Option<Duration> {
            Some(Duration::from_secs(self.0.lock().1))
        }
    }

    impl Clocks {
        /// Starts a clock on a machine that says second 1000.
        fn start() -> (Self, Clock) {
            let clocks = Self(Arc::new(Mutex::new((1000, 50, 20))));
            let clock = Clock::on(Box::new(clocks.clone()));
            (clocks, clock)
        }

        /// Time passes while the machine runs.
        fn pass(&self, seconds: u64) {
            self.suspend(seconds);
            self.0.lock().2 += seconds;
        }

        /// Time passes while the machine is suspended: the monotonic clock stands still.
        fn suspend(&self, seconds: u64) {
            let mut clocks = self.0.lock();
            clocks.0 += i64::try_from(seconds).unwrap();
            clocks.1 += seconds;
        }

        /// Somebody sets the time of day.
        fn set(&self, by: i64) {
            self.0.lock().0 += by;
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn jump(seconds: i64, like: &'static str) -> Option<Jump> {
        Some(Jump { by: SignedDuration::from_secs(seconds), like })
    }

    #[test]
    fn a_clock_that_agrees_with_the_others_is_left_alone() {
        let (clocks, clock) = Clocks::start();
        clocks.pass(70);
        assert_eq!((clock.check(), clock.now()), (None, at(1070)));
        clocks.set(4);
        assert_eq!((clock.check(), clock.now()), (None, at(1070)));
    }

    #[test]
    fn a_time_of_day_that_jumps_either_way_is_followed_while_the_api_server_says_nothing() {
        let (clocks, clock) = Clocks::start();
        clocks.pass(10);
        clocks.set(3600);
        assert_eq!(clock.check(), jump(3600, "the machine"));
        assert_eq!((clock.check(), clock.now()), (None, at(4610)));
        clocks.set(-7200);
        assert_eq!(clock.check(), jump(-7200, "the machine"));
        assert_eq!(clock.now(), at(-2590));
    }

    #[test]
    fn a_machine_that_was_suspended_is_noticed() {
        let (clocks, clock) = Clocks::start();
        clocks.pass(10);
        clocks.suspend(600);
        assert_eq!(clock.check(), jump(600, "the machine"));
        // The API server was heard before the machine was suspended.
        clock.heard(at(1610));
        clocks.suspend(120);
        assert!(clock.check().is_some_and(|jump| jump.like == "the API server"));
        assert_eq!(clock.now().as_second(), 1730);
    }

    #[test]
    fn the_clock_of_the_api_server_counts_before_the_machines_as_long_as_it_is_heard() {
        let (clocks, clock) = Clocks::start();
        clock.heard(at(5000));
        assert_eq!(clock.check().map(|jump| jump.like), Some("the API server"));
        clocks.pass(60);
        clocks.set(-100_000);
        assert_eq!((clock.check(), clock.now().as_second()), (None, 5060));
        clocks.pass(600);
        assert_eq!(clock.check().map(|jump| jump.like), Some("the machine"), "nothing was heard for long");
    }
}
