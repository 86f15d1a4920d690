//! One call: a fresh store with every limit set, the answer, and its cost.

use std::time::{Duration, Instant};

use backstay_core::contract::{LogLevel, LogLine};
use wasmtime::component::WasmStr;
use wasmtime::{ResourceLimiter, Store, StoreContextMut, Trap};

use crate::call_error::{self, CallError, CallFault};
use crate::limits::{CORE_INSTANCES, EPOCH_TICK, Limits, MEMORIES, TABLES};
use crate::permits::Permits;

/// The answer of a call, and its cost.
#[derive(Clone, Debug)]
pub struct Called<T> {
    /// The answer, checked against every rule of the contract that a single call can show.
    pub value: T,
    /// Fuel used.
    pub fuel: u64,
    /// Peak linear memory in bytes.
    pub memory_bytes: usize,
    /// Wall-clock time, without the wait for a free instance.
    pub elapsed: Duration,
    /// Log lines of the component.
    pub log: Vec<LogLine>,
    /// Number of log lines dropped over the limit.
    pub log_dropped: u64,
}

/// The state in the store of one call.
pub(crate) struct CallState {
    limits: Limits,
    memory: usize,
    peak: usize,
    table: usize,
    instantiated: bool,
    /// The limit that the guest exceeded; the call is over once it is set.
    hit: Option<CallFault>,
    log: Vec<LogLine>,
    log_dropped: u64,
}

impl CallState {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            memory: 0,
            peak: 0,
            table: 0,
            instantiated: false,
            hit: None,
            log: Vec::new(),
            log_dropped: 0,
        }
    }

    /// Marks the guest as instantiated: later errors are the guest's.
    pub(crate) fn instantiated(&mut self) {
        self.instantiated = true;
    }

    fn refuse(&mut self, what: &'static str, wanted: usize, limit: usize) -> wasmtime::Result<bool> {
        let fault = CallFault::OutOfMemory { what, wanted, limit };
        let error = wasmtime::Error::msg(fault.to_string());
        self.hit = Some(fault);
        // A trap instead of `-1`: after `-1` the guest could only abort, and the reason would be lost.
        Err(error)
    }
}

impl ResourceLimiter for CallState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.limits.memory_bytes {
            return self.refuse("bytes of linear memory", total, self.limits.memory_bytes);
        }
        // Over the module's own maximum, growing answers `-1` as usual.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory = total;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.table.saturating_sub(current).saturating_add(desired);
        if total > self.limits.table_elements {
            return self.refuse("table elements", total, self.limits.table_elements);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }
}

/// Fuel for a log line in addition to its bytes: roughly the host's own cost.
const LOG_FUEL: u64 = 1_000;

/// Implements `log.write`. The guest pays for the host's work with fuel, so that logging is not free.
pub(crate) fn write_log(
    mut store: StoreContextMut<'_, CallState>,
    level: LogLevel,
    message: &WasmStr,
) -> wasmtime::Result<()> {
    let state = store.data();
    if state.log.len() >= state.limits.log_lines {
        charge(&mut store, LOG_FUEL)?;
        let state = store.data_mut();
        state.log_dropped = state.log_dropped.saturating_add(1);
        return Ok(());
    }
    let text = message.to_str(&store)?;
    let read = text.len();
    let line = LogLine { level, message: call_error::cut(&text, state.limits.log_line_bytes).to_owned() };
    charge(&mut store, LOG_FUEL.saturating_add(read as u64))?;
    store.data_mut().log.push(line);
    Ok(())
}

fn charge(store: &mut StoreContextMut<'_, CallState>, fuel: u64) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    match left.checked_sub(fuel) {
        Some(left) => store.set_fuel(left),
        None => {
            store.set_fuel(0)?;
            Err(Trap::OutOfFuel.into())
        }
    }
}

/// Bytes that the runtime may copy out of the guest in addition to the text, for the records around it.
const OUTPUT_FRAME_BYTES: usize = 256 << 10;

/// Calls a guest once. `enter` runs in the sandbox; `check` reads its result after the instance is gone.
pub(crate) fn call<R, T>(
    engine: &wasmtime::Engine,
    permits: &Permits,
    limits: Limits,
    name: &'static str,
    enter: impl FnOnce(&mut Store<CallState>) -> wasmtime::Result<R>,
    check: impl FnOnce(R) -> Result<T, CallFault>,
) -> Result<Called<T>, CallError> {
    let permit = permits.take();
    let begin = Instant::now();
    let mut store = Store::new(engine, CallState::new(limits));
    let entered = prepare(&mut store, &limits).and_then(|()| enter(&mut store));
    let left = store.get_fuel().unwrap_or_default();
    let state = store.into_data();
    drop(permit);
    let answer = match (entered, state.hit) {
        (_, Some(hit)) => Err(hit),
        (Ok(raw), None) => check(raw),
        (Err(error), None) => Err(call_error::classify(&error, &limits, state.instantiated)),
    };
    let (fuel, memory_bytes, elapsed) = (limits.fuel.saturating_sub(left), state.peak, begin.elapsed());
    let (log, log_dropped) = (state.log, state.log_dropped);
    match answer {
        Ok(value) => Ok(Called { value, fuel, memory_bytes, elapsed, log, log_dropped }),
        Err(error) => {
            Err(CallError { error: error.into(), call: name, fuel, memory_bytes, elapsed, log, log_dropped })
        }
    }
}

/// The cost of an instance that is never called.
#[derive(Clone, Copy, Debug)]
pub struct InstanceCost {
    /// Time to make a store with every limit set and an instance in it.
    pub instantiate: Duration,
    /// Time to drop the instance.
    pub teardown: Duration,
}

/// Makes an instance as [`call`] does, and drops it.
pub(crate) fn measure_instance(
    engine: &wasmtime::Engine,
    permits: &Permits,
    limits: Limits,
    enter: impl FnOnce(&mut Store<CallState>) -> wasmtime::Result<()>,
) -> Result<InstanceCost, CallError> {
    let _permit = permits.take();
    let begin = Instant::now();
    let mut store = Store::new(engine, CallState::new(limits));
    prepare(&mut store, &limits)
        .and_then(|()| enter(&mut store))
        .map_err(|error| refused("instantiate", call_error::classify(&error, &limits, false)))?;
    let instantiate = begin.elapsed();
    let begin = Instant::now();
    drop(store);
    Ok(InstanceCost { instantiate, teardown: begin.elapsed() })
}

/// Returns the error of a call that was refused before it was made.
pub(crate) fn refused(name: &'static str, error: CallFault) -> CallError {
    CallError {
        error: error.into(),
        call: name,
        fuel: 0,
        memory_bytes: 0,
        elapsed: Duration::ZERO,
        log: Vec::new(),
        log_dropped: 0,
    }
}

fn prepare(store: &mut Store<CallState>, limits: &Limits) -> wasmtime::Result<()> {
    store.limiter(|state| state);
    store.set_fuel(limits.fuel)?;
    store.epoch_deadline_trap();
    let ticks = limits.wall.as_nanos().div_ceil(EPOCH_TICK.as_nanos());
    // One tick more, because the first one may come at once.
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1));
    store.set_hostcall_fuel(limits.output_bytes.saturating_add(OUTPUT_FRAME_BYTES));
    Ok(())
}
