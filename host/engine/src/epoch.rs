//! The clock of running calls: a thread that advances the runtime's epoch, which interrupts guests at their deadline.

use std::{io, thread};

use wasmtime::Engine;

use crate::limits::EPOCH_TICK;

/// Starts the thread. It holds the engine weakly, and ends within a tick of the engine's end.
pub(crate) fn start(engine: &Engine) -> io::Result<()> {
    let engine = engine.weak();
    thread::Builder::new().name("wasm-epoch".into()).spawn(move || {
        loop {
            thread::sleep(EPOCH_TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => break,
            }
        }
    })?;
    Ok(())
}
