//! The engine: the runtime as it is configured for guests that nobody trusts, and loading components into it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::{CodeCache, Digest};
use crate::call::CallState;
use crate::clock;
use crate::component::{CodeOrigin, Component, Loaded};
use crate::descriptor;
use crate::error::{EngineError, LoadError};
use crate::inspect;
use crate::limits::{CORE_INSTANCES, Limits, MEMORIES, STACK_BYTES, TABLES};
use crate::permits::Permits;
use crate::v0_1;

/// How an [`Engine`] is set up.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// A directory for compiled code, made if it is missing. It must belong to this process's user and be writable by
    /// nobody else, since what lies there is run. None: every load compiles.
    pub code_cache: Option<PathBuf>,
    /// Instances at a time; further calls wait. Together they hold at most this many times [`Limits::memory_bytes`].
    pub concurrent_calls: u32,
    /// The host's maximum for every component.
    pub limits: Limits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { code_cache: None, concurrent_calls: 8, limits: Limits::default() }
    }
}

/// Loads and calls components. Cloning is cheap; the last clone, component and call end it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    runtime: wasmtime::Engine,
    linker: Linker<CallState>,
    permits: Permits,
    limits: Limits,
    cache: Option<CodeCache>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets the runtime up, checks the cache directory, and starts the thread that ends long calls.
    ///
    /// # Errors
    /// A cache directory that others could write to, or a machine that cannot run components.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let runtime =
            wasmtime::Engine::new(&runtime_config(&config)).map_err(|e| EngineError::Runtime(e.into()))?;
        let mut linker = Linker::new(&runtime);
        v0_1::add_to_linker(&mut linker).map_err(|e| EngineError::Runtime(e.into()))?;
        let cache = config
            .code_cache
            .map(|path| CodeCache::open(&runtime, &path).map_err(|cause| EngineError::Cache { path, cause }))
            .transpose()?;
        clock::start(&runtime).map_err(EngineError::Clock)?;
        let permits = Permits::new(config.concurrent_calls);
        Ok(Self(Arc::new(Inner { runtime, linker, permits, limits: config.limits, cache })))
    }

    /// The host's maximum.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Loads a component from the bytes of its file: checks what it is, imports and exports, compiles it or takes it from
    /// the cache, and asks it to describe itself.
    ///
    /// # Errors
    /// Whatever keeps this host from ever calling it, in words for its author.
    pub fn load(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        let limit = self.0.limits.component_bytes;
        if bytes.len() > limit {
            return Err(LoadError::TooLarge { size: bytes.len() as u64, limit });
        }
        inspect::header(bytes)?;
        let digest = Digest::of(bytes);
        let (compiled, origin) = self.compile(bytes, &digest)?;
        let shape = inspect::shape(&self.0.runtime, &compiled)?;
        let pre = self.0.linker.instantiate_pre(&compiled).map_err(|e| LoadError::Invalid(e.into()))?;
        let driver = v0_1::Driver::new(pre, shape.world)
            .map_err(|cause| LoadError::WrongTypes { version: v0_1::VERSION, cause: cause.into() })?;
        let described =
            driver.describe(&self.call(self.0.limits)).map_err(|e| LoadError::Describe(Box::new(e)))?;
        let descriptor = described
            .value
            .and_then(|d| descriptor::check(shape.world, &d).map(|()| d))
            .map_err(|broken| {
                let (field, rule) = broken.into_parts();
                LoadError::Descriptor { field, rule }
            })?;
        if let (Some(cache), CodeOrigin::Compiled) = (&self.0.cache, origin) {
            // Only what was fit to be loaded is kept. A cache that cannot be written to costs time, not correctness.
            let _ = cache.put(&digest, &compiled);
        }
        let loaded = Loaded {
            engine: self.clone(),
            driver,
            world: shape.world,
            descriptor,
            digest: digest.to_string(),
            size: bytes.len() as u64,
            imports: shape.imports,
            wit_version: shape.version,
            origin,
        };
        Ok(Component::new(loaded, self.0.limits))
    }

    /// [`Engine::load`] of a file. No more of it is read than may be loaded.
    ///
    /// # Errors
    /// As [`Engine::load`], and what reading can bring.
    pub fn load_file(&self, path: &Path) -> Result<Component, LoadError> {
        let limit = self.0.limits.component_bytes;
        let unreadable = |cause| LoadError::Unreadable { path: path.to_owned(), cause };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > limit as u64 {
            return Err(LoadError::TooLarge { size, limit });
        }
        let mut bytes = Vec::new();
        file.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        self.load(&bytes)
    }

    pub(crate) fn call(&self, limits: Limits) -> v0_1::Call<'_> {
        v0_1::Call { engine: &self.0.runtime, permits: &self.0.permits, limits }
    }

    fn compile(
        &self,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<(wasmtime::component::Component, CodeOrigin), LoadError> {
        if let Some(compiled) = self.0.cache.as_ref().and_then(|cache| cache.get(&self.0.runtime, digest)) {
            return Ok((compiled, CodeOrigin::Cache));
        }
        let compiled = wasmtime::component::Component::from_binary(&self.0.runtime, bytes)
            .map_err(|e| LoadError::Invalid(e.into()))?;
        Ok((compiled, CodeOrigin::Compiled))
    }
}

fn runtime_config(config: &EngineConfig) -> Config {
    let mut runtime = Config::new();
    // Limits that need code in the guest to count.
    runtime.consume_fuel(true).epoch_interruption(true).max_wasm_stack(STACK_BYTES);
    // A call is a function of its arguments: the same bits on every machine.
    runtime.cranelift_nan_canonicalization(true).wasm_relaxed_simd(false);
    // What no guest needs is no surface to attack.
    runtime.wasm_memory64(false).wasm_multi_memory(false).concurrency_support(false);
    // Fresh instances in microseconds: memory is mapped from an image, and slots are reset instead of unmapped.
    runtime.memory_init_cow(true).allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    runtime
}

/// Bytes of linear memory that a free slot keeps, so that small calls need no page faults and no system calls.
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
