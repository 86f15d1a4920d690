//! Loads, checks, limits and calls strategy components; the only crate that depends on wasmtime.
