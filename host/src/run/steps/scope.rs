//! The parts that the steps of a wake share: the run, its component's client, and the accesses of the component.

use std::time::Duration;

use backstay_core::contract::Request;
use backstay_core::steps::{Grants, Pins};
use kube::Client;

use super::retry_budget::RetryBudget;
use crate::cluster::Cluster;
use crate::components::registry::Registry;
use crate::informers::stores::Stores;
use crate::records::proof_key::StoredKey;
use crate::run::pinned::Pinned;
use crate::state::notices::Notices;
use crate::state::run::Run;
use crate::state::run_cache::RunCache;
use crate::state::watch_pool::WatchPool;

/// See the module.
pub(crate) struct StepScope<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its inputs.
    pub pinned: &'a Pinned,
    /// The request of the wake's calls.
    pub request: &'a Request,
    /// The run's own objects and namespaces.
    pub pins: &'a Pins,
    /// The accesses of the component.
    pub grants: Grants<'a>,
    /// Acts as the component.
    pub as_component: Client,
    /// Acts as the controller.
    pub cluster: &'a Cluster,
    /// Watched objects.
    pub stores: &'a Stores,
    /// The key by which the controller recognises its Jobs.
    pub key: &'a StoredKey,
    /// Bounds of the component's pods.
    pub registry: &'a Registry,
    /// When the run's Job was last read.
    pub runs: &'a RunCache,
    /// Watches of waiting runs.
    pub watch_pool: &'a WatchPool,
    /// Events on the run.
    pub notices: &'a Notices,
    /// How often a run is reconciled without any event.
    pub recheck: Duration,
    /// The time for retries.
    pub budget: &'a RetryBudget,
}

impl<'a> StepScope<'a> {
    /// Name of the component.
    pub(crate) fn component(&self) -> &'a str {
        &self.pinned.component.descriptor().name
    }
}
