//! Why a call of a component has no answer.

use std::fmt;
use std::time::Duration;

use backstay_core::contract::LogLine;
use wasmtime::Trap;

/// A call that failed, with what is known of it. The run it was made for ends with [`CallFault::reason`]; nothing else
/// is affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// Why.
    pub error: Box<CallFault>,
    /// Which function of the contract was called, such as `render`.
    pub call: &'static str,
    /// Fuel used until then.
    pub fuel: u64,
    /// Peak linear memory until then, in bytes.
    pub memory_bytes: usize,
    /// Wall-clock time until then, without the wait for a free instance.
    pub elapsed: Duration,
    /// What the component had logged until then.
    pub log: Vec<LogLine>,
    /// Lines that were dropped.
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
    /// See [`CallFault::reason`].
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.error.reason()
    }
}

/// Why a call has no answer. Each has a reason of its own, and a message for the author of the component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallFault {
    /// The guest trapped: it panicked, aborted, or executed something invalid.
    #[error("the component trapped: {trap}{}", At(frames))]
    Trapped {
        /// What happened.
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
        /// How much it asked for.
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
    /// The answer is over a bound on its size.
    #[error("{}has {} bytes where {limit} are allowed", Field(field), size.map_or("too many".into(), |n| n.to_string()))]
    OutputTooLarge {
        /// Where in the answer; empty: all of it.
        field: String,
        /// How large it is, if it was read at all.
        size: Option<usize>,
        /// The bound.
        limit: usize,
    },
    /// The answer breaks a rule of the contract.
    #[error("{}{rule}", Field(field))]
    BadAnswer {
        /// Where in the answer; empty: all of it.
        field: String,
        /// The rule, and how it is broken.
        rule: String,
    },
    /// The host's arguments are over a bound of the contract: nothing was called.
    #[error(
        "the argument {}has {size} bytes where {limit} are allowed; make the object smaller",
        Field(field)
    )]
    InputTooLarge {
        /// Which argument.
        field: String,
        /// How large it is.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// The component has another driver: nothing was called.
    #[error("the component exports no `{driver}`; this call needs one that does")]
    WrongWorld {
        /// The driver that has this function.
        driver: &'static str,
    },
    /// The component could not be instantiated, though it was when it was loaded.
    #[error("the component could not be instantiated: {0}")]
    NotInstantiated(String),
}

impl CallFault {
    /// Reason of the run's condition, of the event and of the metric.
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

/// A field path before a message, if there is one.
struct Field<'a>(&'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "`{}` ", self.0) }
    }
}

/// Where it happened, if that is known.
struct At<'a>(&'a [String]);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " in {}", self.0.join(" < ")) }
    }
}

/// Frames that are named in a message.
const FRAMES: usize = 5;
/// Bytes of a function's name that are shown.
const FRAME_BYTES: usize = 120;

/// What an error of the runtime says of the guest. `limits` are those of the call; `instantiated` says how far it came.
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
            // The runtime's type for this is private; the attack tests pin the words.
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
        .take(FRAMES)
        .map(|n| cut(n, FRAME_BYTES).escape_debug().to_string())
        .collect()
}

/// Text of a guest as part of a message: quoted, with control characters escaped, and not long.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.len() > SHOWN { format!("{:?}...", cut(text, SHOWN)) } else { format!("{text:?}") }
}

/// The longest beginning of `text` of at most `bytes` bytes that ends between two characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
