//! For authors of Backstay strategies: run a built component in wasmtime from a test, with no cluster.
