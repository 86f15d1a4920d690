//! Loading a component: checks its file, compiles it or takes its code from the cache, and asks it to describe itself.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::cache::Digest;
use crate::component::{Component, Loaded};
use crate::engine::Engine;
use crate::load_error::LoadError;
use crate::world::CodeOrigin;
use crate::{descriptor, inspect, v0_1};

impl Engine {
    /// Loads a component from the bytes of its file: checks its format, imports and exports, compiles it or takes its
    /// code from the cache, and asks it to describe itself.
    ///
    /// # Errors
    /// [`LoadError`]: the host can never call this component. The message tells its author why.
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
            .map_err(|violation| {
                let (field, rule) = violation.into_parts();
                LoadError::Descriptor { field, rule }
            })?;
        if let (Some(cache), CodeOrigin::Compiled) = (&self.0.cache, origin) {
            // Only components that passed every check are cached. A cache that cannot be written to costs time, not
            // correctness.
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

    /// Loads a component from a file. Reads no more bytes than a component may have.
    ///
    /// # Errors
    /// As [`Engine::load`], and a file that cannot be read.
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
