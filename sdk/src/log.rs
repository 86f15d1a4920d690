//! Lines for the host's structured log: at most 100 lines of 1 KiB in a call; the host drops the rest.
//!
//! ```
//! backstay_sdk::log::info(format_args!("{} shards", 3));
//! ```

use std::fmt::Display;

/// The severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Debug,
    Info,
    Warn,
}

/// Writes a line. Outside of a component, for example in a native unit test, the line goes to stderr.
pub fn write(level: Level, line: impl Display) {
    emit(level, &line.to_string());
}

/// Writes a line for debugging.
pub fn debug(line: impl Display) {
    write(Level::Debug, line);
}

/// Writes a line about an observation or a decision.
pub fn info(line: impl Display) {
    write(Level::Info, line);
}

/// Writes a line that needs the attention of a person.
pub fn warn(line: impl Display) {
    write(Level::Warn, line);
}

#[cfg(target_arch = "wasm32")]
fn emit(level: Level, line: &str) {
    use crate::bindings::about::backstay::strategy::log;
    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
    };
    log::write(level, line);
}

#[cfg(not(target_arch = "wasm32"))]
fn emit(level: Level, line: &str) {
    eprintln!("{level:?}: {line}");
}
