//! What nearly every call of a strategy does: it takes memory, reads JSON and writes JSON.
//!
//! Guests are compiled for size, since size is what a cold compile of a component costs. Half of a call's work is in the few
//! functions here, which are small. So the profile `guest` compiles this crate with less regard to size
//! (`docs/decisions/0030-memory-of-a-call.md`).

#[allow(unsafe_code)]
pub mod allocator;
pub mod json;
