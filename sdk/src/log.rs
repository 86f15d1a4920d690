//! Lines for the host's structured log, for authors: at most 100 of 1 KiB in a call, the rest is dropped.
//!
//! ```
//! backstay_sdk::log::info(format_args!("{} shards", 3));
//! ```

use std::fmt::Display;

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Debug,
    Info,
    Warn,
}

/// Write a line. Outside a component, such as in a native unit test, it goes to stderr.
pub fn write(level: Level, line: impl Display) {
    emit(level, &line.to_string());
}

/// Write a line for debugging.
pub fn debug(line: impl Display) {
    write(Level::Debug, line);
}

/// Write a line that says what was found or decided.
pub fn info(line: impl Display) {
    write(Level::Info, line);
}

/// Write a line that a person should see.
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
