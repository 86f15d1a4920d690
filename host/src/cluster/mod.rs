//! The API server: how it is called, what its errors mean, and as whom.

pub mod api;
pub mod checked_names;
pub mod client;
pub mod discovery;
pub mod dynamic;
pub mod error;
pub mod events;
pub mod impersonation;
mod large_events;
pub(crate) mod pages;
pub mod partial;
pub(crate) mod schemas;
#[cfg(test)]
pub(crate) mod stand_in;
pub(crate) mod write;
pub(crate) mod written;

use std::sync::Arc;

use kube::Client;

use discovery::Discovery;
use events::Events;
use impersonation::Impersonation;

/// Access to the API server.
pub struct Cluster {
    /// The controller's own client.
    pub client: Client,
    /// How the API server serves the kinds of applications.
    pub discovery: Discovery,
    /// Clients that act as the components' ServiceAccounts.
    pub impersonation: Arc<Impersonation>,
    /// Kubernetes Events that wait to be posted.
    pub events: Events,
}
