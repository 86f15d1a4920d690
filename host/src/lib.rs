//! The Backstay controller: the shell around pure decisions and sandboxed components.
//!
//! The modules are floors, lowest first: [`cluster`] talks to the API server, [`components`] calls the guests, [`informers`]
//! keep watched objects, [`records`] keep data of runs in the controller's own namespace, [`state`] is what the process
//! remembers, [`run`] has the steps of one run, [`reconcile`] one flow for each kind, [`controller`] starts and feeds
//! them, and [`cli`] is the command line. A module never names a higher floor; `docs/architecture.md` has the table, and a
//! test compares it with the code. Pure decisions are in `backstay-core`.

pub mod cli;
pub mod clock;
pub mod cluster;
pub mod components;
pub mod context;
pub mod controller;
pub mod informers;
pub mod metrics;
pub mod panics;
pub mod polls;
pub mod reconcile;
pub mod records;
pub mod run;
pub mod settings;
pub mod state;
#[cfg(feature = "dev")]
pub mod trial;
mod yaml;
