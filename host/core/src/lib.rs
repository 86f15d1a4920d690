//! Pure decisions of the Backstay controller: observed state and a time in, verdicts out.
//!
//! No client, clock, environment, randomness or WebAssembly engine; `Cargo.toml` and `clippy.toml` of this crate
//! enforce it.

pub mod allowance;
pub mod application_kind;
pub mod application_locks;
pub mod backup;
pub mod call_slots;
pub mod cancel;
pub mod component;
pub mod contract;
pub mod credentials;
pub mod fair;
pub mod inputs;
pub mod job;
pub mod json;
pub mod kept_fields;
pub mod log_text;
pub mod object_name;
pub mod owner;
pub mod plan;
pub mod pod_names;
pub mod pod_policy;
pub mod restored_run;
pub mod retry;
pub mod revision;
pub mod run_budget;
pub mod run_report;
pub mod schedule;
pub mod status;
pub mod steps;
pub mod strategy_kind;
pub mod trust;
pub mod unplaced;
