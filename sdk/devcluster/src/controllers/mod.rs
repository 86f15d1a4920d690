//! The controllers of a cluster: Jobs, garbage, namespaces, ServiceAccounts, claims, the scheduler, and a node of a script.
//!
//! Each is a task over the [`ApiServer`] of this crate. It reads the store itself and writes by requests, and it waits by tokio's
//! clock: where that is paused they work in simulated time, and the same way each time.

mod accounts;
mod claims;
mod cluster;
mod drive;
mod garbage;
mod jobs;
mod namespaces;
mod owners;
mod podgc;
mod scheduler;
mod scripted;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

use crate::api::ApiServer;
use cluster::Cluster;
use drive::drive;

pub use scripted::{Script, ScriptedNode, Switch};

/// The controllers of a cluster without nodes.
#[derive(Clone, Debug)]
pub struct Controllers {
    server: ApiServer,
    token: Option<String>,
}

impl Controllers {
    /// Controllers of this API server. The token, if there is one, has to be an administrator's.
    #[must_use]
    pub const fn new(server: ApiServer, token: Option<String>) -> Self {
        Self { server, token }
    }

    /// Works for as long as it is polled.
    pub async fn run(self) -> Infallible {
        let of =
            |component: &'static str| Cluster::new(self.server.clone(), component, self.token.as_deref());
        let manager = "kube-controller-manager";
        let jobs = drive(jobs::Jobs::new(of("job-controller")));
        let garbage = drive(garbage::Garbage::new(of("garbage-collector-controller")));
        let namespaces = drive(namespaces::Namespaces::new(of("namespace-controller")));
        let accounts = drive(accounts::Accounts::new(of(manager)));
        let claims = drive(claims::Claims::new(of("persistentvolume-controller")));
        let scheduler = drive(scheduler::Scheduler::new(of("default-scheduler")));
        let orphans = drive(podgc::PodGc::new(of("pod-garbage-collector")));
        let (never, ..) = tokio::join!(jobs, garbage, namespaces, accounts, claims, scheduler, orphans);
        never
    }
}
