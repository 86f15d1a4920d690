//! The Backstay controller: the shell around pure decisions and sandboxed components.
//!
//! The host observes (watches fill [`caches`]), the guest decides (a component is called through [`context`]), the host
//! acts ([`run`], [`backup`], [`plan`]). What is decided without a component is in `backstay-core`.

pub mod accounts;
pub mod api_error;
pub mod backup;
pub mod caches;
pub mod cli;
pub mod client;
pub mod clock;
pub mod component_limits;
pub mod component_pods;
pub mod context;
pub mod controllers;
pub mod credentials;
pub mod departed;
pub mod discovery;
pub mod due;
pub mod events;
pub mod finalizer;
pub mod http;
pub mod interests;
pub mod job_pods;
pub mod lean;
mod manager;
pub mod metrics;
pub mod plan;
pub mod precedence;
pub mod queues;
pub mod records;
pub mod registry;
pub mod revisions;
pub mod run;
pub mod runs;
pub mod settings;
pub mod strategy;
pub mod tasks;
pub mod turns;
pub mod watches;
