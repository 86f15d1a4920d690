//! The engine: the WebAssembly runtime, configured for guests that nobody trusts.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::CodeCache;
use crate::call::CallState;
use crate::epoch;
use crate::limits::{CORE_INSTANCES, Limits, MEMORIES, STACK_BYTES, TABLES};
use crate::load_error::EngineError;
use crate::permits::Permits;
use crate::v0_1;

/// The configuration of an [`Engine`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// A directory for compiled code, created if it is missing. It must belong to this process's user and be writable
    /// by nobody else, because its files are run as code. `None`: every load compiles.
    pub code_cache: Option<PathBuf>,
    /// Number of concurrent instances; further calls wait. Together they hold at most this many times
    /// [`Limits::memory_bytes`].
    pub concurrent_calls: u32,
    /// The host's maximum for every component.
    pub limits: Limits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { code_cache: None, concurrent_calls: 8, limits: Limits::default() }
    }
}

/// Loads and calls components. Cloning is cheap. The engine ends with its last clone, component and call.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) runtime: wasmtime::Engine,
    pub(crate) linker: Linker<CallState>,
    pub(crate) permits: Permits,
    pub(crate) limits: Limits,
    pub(crate) cache: Option<CodeCache>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets up the runtime, checks the cache directory, and starts the thread that ends long calls.
    ///
    /// # Errors
    /// A cache directory that others could write to, or a machine on which components cannot run.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let runtime =
            wasmtime::Engine::new(&runtime_config(&config)).map_err(|e| EngineError::Runtime(e.into()))?;
        let mut linker = Linker::new(&runtime);
        v0_1::add_to_linker(&mut linker).map_err(|e| EngineError::Runtime(e.into()))?;
        let cache = config
            .code_cache
            .map(|path| CodeCache::open(&runtime, &path).map_err(|cause| EngineError::Cache { path, cause }))
            .transpose()?;
        epoch::start(&runtime).map_err(EngineError::Clock)?;
        let permits = Permits::new(config.concurrent_calls);
        Ok(Self(Arc::new(Inner { runtime, linker, permits, limits: config.limits, cache })))
    }

    /// The host's maximum.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(crate) fn call(&self, limits: Limits) -> v0_1::Call<'_> {
        v0_1::Call { engine: &self.0.runtime, permits: &self.0.permits, limits }
    }
}

fn runtime_config(config: &EngineConfig) -> Config {
    let mut runtime = Config::new();
    // These limits need code in the guest that counts.
    runtime.consume_fuel(true).epoch_interruption(true).max_wasm_stack(STACK_BYTES);
    // A call is a function of its arguments, with the same bits on every machine.
    runtime.cranelift_nan_canonicalization(true).wasm_relaxed_simd(false);
    // Features that no guest needs are attack surface.
    runtime.wasm_memory64(false).wasm_multi_memory(false).concurrency_support(false);
    // Instances in microseconds: memory is mapped from an image, and slots are reset instead of unmapped.
    runtime.memory_init_cow(true).allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    runtime
}

/// Bytes of linear memory that a free slot keeps, so that small calls need neither page faults nor system calls.
const KEEP_MEMORY: usize = 256 << 10;
/// Bytes of a table that a free slot keeps.
const KEEP_TABLE: usize = 16 << 10;

fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let calls = config.concurrent_calls.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES))
        .total_memories(calls.saturating_mul(MEMORIES))
        .total_tables(calls.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_memory_size(config.limits.memory_bytes)
        .table_elements(config.limits.table_elements)
        .max_unused_warm_slots(calls)
        .linear_memory_keep_resident(KEEP_MEMORY)
        .table_keep_resident(KEEP_TABLE)
        .pagemap_scan(Enabled::Auto);
    pool
}
