//! Why a call of a component returned no answer.

use std::fmt;
use std::time::Duration;

use backstay_core::contract::LogLine;
use wasmtime::Trap;

/// A failed call. The run it was made for ends with [`CallFault::reason`]; no other run is affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The cause.
    pub error: Box<CallFault>,
    /// The function of the contract that was called, such as `render`.
    pub call: &'static str,
    /// Fuel used so far.
    pub fuel: u64,
    /// Peak linear memory so far, in bytes.
    pub memory_bytes: usize,
    /// Wall-clock time so far, without the wait for a free instance.
    pub elapsed: Duration,
    /// Log lines of the component so far.
    pub log: Vec<LogLine>,
    /// Number of log lines dropped over the limit.
    pub log_dropped: u64,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.call)
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}

impl CallError {
    /// Returns [`CallFault::reason`].
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.error.reason()
    }
}

/// The causes of a failed call. Each has its own reason, and a message for the author of the component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallFault {
    /// The guest trapped: it panicked, aborted, or executed something invalid.
    #[error("the component trapped: {trap}{}", At(frames))]
    Trapped {
        /// The trap, as the runtime describes it.
        trap: String,
        /// Functions on the guest's stack, innermost first, as far as their names are known.
        frames: Vec<String>,
    },
    /// See [`crate::Limits::fuel`].
    #[error(
        "used up its {limit} units of fuel{}; look for an endless loop, or do less in one call",
        At(frames)
    )]
    OutOfFuel {
        /// The limit.
        limit: u64,
        /// As in [`CallFault::Trapped`].
        frames: Vec<String>,
    },
    /// See [`crate::Limits::wall`].
    #[error(
        "was still running after {limit:?}{}; look for an endless loop, or do less in one call",
        At(frames)
    )]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// As in [`CallFault::Trapped`].
        frames: Vec<String>,
    },
    /// See [`crate::Limits::memory_bytes`] and [`crate::Limits::table_elements`].
    #[error("asked for {wanted} {what} where {limit} are allowed; hold less at a time")]
    OutOfMemory {
        /// `bytes of linear memory` or `table elements`.
        what: &'static str,
        /// The amount asked for.
        wanted: usize,
        /// The limit.
        limit: usize,
    },
    /// See [`crate::limits::STACK_BYTES`].
    #[error("exhausted its call stack{}; look for unbounded recursion", At(frames))]
    StackExhausted {
        /// As in [`CallFault::Trapped`].
        frames: Vec<String>,
    },
    /// The answer exceeds a bound on its size.
    #[error("{}has {} bytes where {limit} are allowed", Field(field), size.map_or("too many".into(), |n| n.to_string()))]
    OutputTooLarge {
        /// The field of the answer; empty for the whole answer.
        field: String,
        /// The size, if the answer was read at all.
        size: Option<usize>,
        /// The bound.
        limit: usize,
    },
    /// The answer breaks a rule of the contract.
    #[error("{}{rule}", Field(field))]
    BadAnswer {
        /// The field of the answer; empty for the whole answer.
        field: String,
        /// The rule, and how the answer breaks it.
        rule: String,
    },
    /// The host's arguments exceed a bound of the contract. Nothing was called.
    #[error(
        "the argument {}has {size} bytes where {limit} are allowed; make the object smaller",
        Field(field)
    )]
    InputTooLarge {
        /// The argument.
        field: String,
        /// Its size.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// The component implements the other world. Nothing was called.
    #[error("the component exports no `{driver}`; this call needs one that does")]
    WrongWorld {
        /// The driver that has the function.
        driver: &'static str,
    },
    /// The component could not be instantiated, although it was when it was loaded.
    #[error("the component could not be instantiated: {0}")]
    NotInstantiated(String),
}

impl CallFault {
    /// Returns the reason of the run's condition, the event and the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Trapped { .. } => "StrategyTrapped",
            Self::OutOfFuel { .. } => "StrategyOutOfFuel",
            Self::TimedOut { .. } => "StrategyTimedOut",
            Self::OutOfMemory { .. } => "StrategyOutOfMemory",
            Self::StackExhausted { .. } => "StrategyStackExhausted",
            Self::OutputTooLarge { .. } => "StrategyOutputTooLarge",
            Self::BadAnswer { .. } => "StrategyBadAnswer",
            Self::InputTooLarge { .. } => "StrategyInputTooLarge",
            Self::WrongWorld { .. } => "StrategyWrongWorld",
            Self::NotInstantiated(_) => "StrategyNotInstantiated",
        }
    }
}

/// Displays a field path before a message, or nothing.
struct Field<'a>(&'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "`{}` ", self.0) }
    }
}

/// Displays the stack frames, or nothing.
struct At<'a>(&'a [String]);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..FRAMES).unwrap_or(self.0);
        if shown.is_empty() { Ok(()) } else { write!(f, " in {}", shown.join(" < ")) }
    }
}

/// Number of frames in a message.
const FRAMES: usize = 5;
/// Bytes of a function's name in a message.
const FRAME_BYTES: usize = 120;

/// Returns the fault that an error of the runtime means. `limits` are the limits of the call; `instantiated` tells
/// whether the guest was running.
pub(crate) fn classify(error: &wasmtime::Error, limits: &crate::Limits, instantiated: bool) -> CallFault {
    let frames = frames(error);
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => CallFault::OutOfFuel { limit: limits.fuel, frames },
        Some(Trap::Interrupt) => CallFault::TimedOut { limit: limits.wall, frames },
        Some(Trap::StackOverflow) => CallFault::StackExhausted { frames },
        Some(trap) => {
            let text = trap.to_string();
            CallFault::Trapped { trap: text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned(), frames }
        }
        None => {
            let cause = error.root_cause().to_string();
            // The runtime's type for this error is private; the attack tests pin the text.
            if cause.contains("fuel allocated for hostcalls has been exhausted") {
                CallFault::OutputTooLarge { field: String::new(), size: None, limit: limits.output_bytes }
            } else if !instantiated {
                CallFault::NotInstantiated(cause)
            } else {
                CallFault::BadAnswer {
                    field: String::new(),
                    rule: format!("breaks the canonical ABI: {cause}"),
                }
            }
        }
    }
}

fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<wasmtime::WasmBacktrace>() else { return Vec::new() };
    trace
        .frames()
        .iter()
        .filter_map(|f| f.func_name())
        .map(|n| cut(n, FRAME_BYTES).escape_debug().to_string())
        .collect()
}

/// Quotes text of a guest for a message: control characters escaped, at most 80 bytes.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.len() > SHOWN { format!("{:?}...", cut(text, SHOWN)) } else { format!("{text:?}") }
}

/// Returns the longest prefix of `text` of at most `bytes` bytes that ends at a character boundary.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}
