//! The Altinity strategy: backups of ClickHouse applications with the `clickhouse-backup` sidecar of their pods.
//!
//! The sidecar makes the backups and offers an HTTP interface; the strategy's pod is a client of it. This crate
//! decides the client's inputs, above all the name of the archive: it is a function of the run, recorded in the
//! Backup, and passed to the client again on restore. `docs/strategies/altinity.md` is the page for users.
//!
//! Deleting a Backup keeps its archive: there is no cleanup.

mod archive;
mod client;
mod ended;
mod shards;
mod spec;

use backstay_sdk::prelude::*;
use backstay_sdk::{Value, serde_json};

pub use spec::{AltinitySpec, Shards};

/// The Altinity strategy.
#[derive(Debug)]
pub struct Altinity;

impl Strategy for Altinity {
    const NAME: &'static str = "altinity";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind = Kind {
        group: "strategy.backups.cozystack.io",
        version: "v1alpha1",
        kind: "Altinity",
        plural: "altinities",
    };
    const TRAITS: Traits = Traits {
        restore: true,
        credentials: true,
        strategy_on_restore: true,
        unpinned: true,
        ..Traits::NONE
    };
    const LONGEST_RUN: u32 = 6 * 60 * 60;
    const APPLICATIONS: &'static [(&'static str, &'static str)] = &[(client::GROUP, client::KIND)];
    type Spec = AltinitySpec;

    fn schema() -> Value {
        // The schema of `AltinitySpec`; the test below compares the two.
        serde_json::from_str(include_str!("schema.json")).expect("the file is JSON")
    }

    fn validate(check: &Check<'_, AltinitySpec>) -> Vec<Finding> {
        client::check(check.spec)
    }
}

impl PodStrategy for Altinity {
    fn render(request: &Request<AltinitySpec>, application: Option<&Value>) -> Result<PodRun, Failure> {
        client::run(request, application)
    }

    fn parse(request: &Request<AltinitySpec>, ended: &PodResult) -> Result<Outcome, Failure> {
        ended::outcome(request, ended)
    }
}

backstay_sdk::export_pod!(Altinity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_file_is_that_of_the_spec() {
        let of_spec = backstay_sdk::schema::of::<AltinitySpec>();
        let text = serde_json::to_string_pretty(&of_spec).unwrap();
        assert_eq!(Altinity::schema(), of_spec, "src/schema.json has to be:\n{text}\n");
    }
}
