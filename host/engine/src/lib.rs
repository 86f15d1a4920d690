//! Loads, checks, limits and calls strategy components; the only crate that depends on wasmtime.
//!
//! ```text
//! Engine::load ─ header ─ compile or cache ─ imports, exports ─ describe ─ descriptor's rules ─▶ Component
//! Component::render ─ arguments within bounds ─ wait for an instance ─ fresh store, all limits ─ guest
//!                   ─ answer within bounds ─ rules of the contract ─▶ Called<PodRun or Failure>
//! ```
//!
//! This crate alone bounds what a guest can do to the host: fuel, wall clock, memory, tables, stack, the size of its
//! answers, logs and file. Each bound has its own reason ([`CallFault::reason`]) and ends one call. Whether the host
//! may do what a guest *asks for* is decided elsewhere.
//!
//! Calls are synchronous. The types of the WIT bindings stay in this crate: callers see [`backstay_core::contract`],
//! whichever version of the contract a component speaks.

mod cache;
mod call;
mod call_error;
mod component;
mod descriptor;
mod engine;
mod epoch;
mod inspect;
mod json;
mod lift;
pub mod limits;
mod load;
mod load_error;
mod permits;
mod rules;
mod v0_1;
mod world;

pub use call::{Called, InstanceCost};
pub use call_error::{CallError, CallFault};
pub use component::Component;
pub use engine::{Engine, EngineConfig};
pub use limits::Limits;
pub use load_error::{CacheError, EngineError, LoadError};
pub use world::{CodeOrigin, World};
