//! BackupClass: which strategy backs up which kind of application.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TypedRef;
use crate::lenient;
use crate::refs::application_group;
use crate::schema::field;

/// Spec of a BackupClass: the strategies for the kinds of application.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "BackupClass",
    plural = "backupclasses",
    shortname = "bkc",
    status = "BackupClassStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A BackupClass maps kinds of application to the strategies that back them up. Administrators write it; \
           BackupJobs and Plans name it.",
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the class was created"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct BackupClassSpec {
    /// The strategies of this class. The first entry whose application matches is used; order matters.
    pub strategies: Vec<StrategyBinding>,
}

impl BackupClassSpec {
    /// Returns the first entry for an application of this group and kind. An empty group is the default one.
    #[must_use]
    pub fn binding(&self, group: &str, kind: &str) -> Option<&StrategyBinding> {
        let group = application_group(Some(group));
        self.strategies
            .iter()
            .find(|entry| entry.application.group() == group && entry.application.kind == kind)
    }
}

/// One entry of a BackupClass: applications of this kind are backed up by this strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrategyBinding {
    /// The kind of application that this entry is for.
    pub application: ApplicationSelector,
    /// The strategy, a cluster-scoped object of a kind that an installed component serves.
    pub strategy_ref: TypedRef,
    /// Values for the strategy's templates. They must not hold secrets: they are copied into Backups, which tenants
    /// can read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_pairs")]
    pub parameters: Option<BTreeMap<String, String>>,
}

/// A kind of application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSelector {
    /// API group of the application; absent or empty means `apps.cozystack.io`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub api_group: Option<String>,
    /// Kind of the application; matched exactly, case-sensitive.
    #[serde(deserialize_with = "lenient::name")]
    pub kind: String,
}

impl ApplicationSelector {
    /// Returns the group, or the default if none is written.
    #[must_use]
    pub fn group(&self) -> &str {
        application_group(self.api_group.as_deref())
    }
}

/// Status of a BackupClass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupClassStatus {
    /// Conditions of the class.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::conditions")]
    #[schemars(schema_with = "field::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the class that the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(group: Option<&str>, kind: &str, strategy: &str) -> StrategyBinding {
        StrategyBinding {
            application: ApplicationSelector { api_group: group.map(str::to_owned), kind: kind.to_owned() },
            strategy_ref: TypedRef { api_group: None, kind: "Job".to_owned(), name: strategy.to_owned() },
            parameters: None,
        }
    }

    #[test]
    fn the_first_entry_of_group_and_kind_wins() {
        let class = BackupClassSpec {
            strategies: vec![
                entry(Some("other.example.org"), "Redis", "other"),
                entry(None, "redis", "wrong-case"),
                entry(Some(""), "Redis", "first"),
                entry(Some("apps.cozystack.io"), "Redis", "dead"),
            ],
        };
        let name = |group, kind| class.binding(group, kind).map(|e| e.strategy_ref.name.as_str());
        assert_eq!(name("apps.cozystack.io", "Redis"), Some("first"));
        assert_eq!(name("", "Redis"), Some("first"));
        assert_eq!(name("other.example.org", "Redis"), Some("other"));
        assert_eq!(name("apps.cozystack.io", "Postgres"), None);
    }
}
