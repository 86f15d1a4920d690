//! PostgreSQL by CloudNativePG. A backup is a Backup of the operator, made by the Barman Cloud plugin. A restore
//! writes the recovery into the application, deletes the Cluster and its volumes, and lets the chart create them
//! again.
//!
//! Deleting a database cannot be undone. So every precondition is checked before it, and a plan that is stored before
//! the first write names the objects to delete by uid. Every stage decides from the present state of the cluster; see
//! [`stage`](self) in the sources for their order.

mod access;
mod archiving;
mod backup;
mod cleanup;
mod cluster;
mod machine;
mod memory;
mod names;
mod options;
mod plan;
mod recovery_log;
mod release;
mod rendered;
mod restore;
mod run;
mod snapshot;
mod spec;
mod stage;
mod time;

use backstay_sdk::prelude::*;
use backstay_sdk::step::{Step, Stop, View};
use backstay_sdk::{Descriptor, Value, serde_json};

pub use spec::CnpgSpec;

/// The CNPG strategy.
#[derive(Debug)]
pub struct Cnpg;

impl Strategy for Cnpg {
    const NAME: &'static str = "cnpg";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind =
        Kind { group: "strategy.backups.cozystack.io", version: "v1alpha1", kind: "CNPG", plural: "cnpgs" };
    const TRAITS: Traits = Traits {
        restore: true,
        cleanup: true,
        cancel: true,
        credentials: true,
        strategy_on_restore: true,
        unpinned: true,
    };
    const LONGEST_RUN: u32 = options::LONGEST_RUN;
    const APPLICATIONS: &'static [(&'static str, &'static str)] = &[("apps.cozystack.io", "Postgres")];
    type Spec = CnpgSpec;

    fn schema() -> Value {
        // The schema of `CnpgSpec`; the test below compares the two.
        serde_json::from_str(include_str!("schema.json")).expect("the file is JSON")
    }

    fn describe() -> Descriptor {
        Descriptor {
            options_schema: options::schema(),
            access: access::list(),
            stages: stage::Stage::ALL.into_iter().map(stage::Stage::declared).collect(),
            ..Descriptor::of::<Self>()
        }
    }

    fn validate(check: &Check<'_, CnpgSpec>) -> Vec<Finding> {
        let mut findings = rendered::check(check.spec);
        findings.extend(options::Options::check(check.options));
        findings
    }
}

impl ResourceStrategy for Cnpg {
    fn step(request: &Request<CnpgSpec>, view: &View) -> Result<Step, Stop> {
        machine::step(request, view)
    }
}

backstay_sdk::export_resource!(Cnpg);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_file_is_that_of_the_spec() {
        let of_spec = backstay_sdk::schema::of::<CnpgSpec>();
        let text = serde_json::to_string_pretty(&of_spec).unwrap();
        assert_eq!(Cnpg::schema(), of_spec, "src/schema.json has to be:\n{text}\n");
    }
}
