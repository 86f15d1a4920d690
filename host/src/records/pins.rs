//! What Backups need to be restored, as their statuses say. The store of watched Backups has no statuses.

use std::collections::BTreeSet;

use backstay_api::conditions::{reasons, types};
use backstay_api::{API_VERSION, Condition, phase};
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;

use crate::cluster::error::ApiError;
use crate::cluster::pages::PAGE;

/// What a Backup needs to be restored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pins {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The strategy revision.
    pub revision: Option<String>,
    /// The Secret with its private data.
    pub private: Option<String>,
    /// Whether it is Ready, and not being deleted.
    pub ready: bool,
    /// What its condition `Restorable` says, if it has one.
    pub said: Option<bool>,
}

impl Pins {
    /// Returns reason and message if something that the Backup needs is missing among what exists.
    #[must_use]
    pub fn missing(
        &self,
        revisions: &BTreeSet<String>,
        private: &BTreeSet<String>,
        namespace: &str,
    ) -> Option<(&'static str, String)> {
        let lacks = |needed: &Option<String>, there: &BTreeSet<String>| {
            needed.as_ref().filter(|name| !there.contains(*name)).cloned()
        };
        let remedy = "recover it from a cluster backup, or take a new Backup";
        if let Some(name) = lacks(&self.revision, revisions) {
            let message = format!(
                "this Backup cannot be restored: the strategy revision (ControllerRevision \"{namespace}/{name}\") no longer exists; {remedy}"
            );
            return Some((reasons::STRATEGY_SNAPSHOT_CORRUPT, message));
        }
        let name = lacks(&self.private, private)?;
        let message = format!(
            "this Backup cannot be restored: its private data (Secret \"{namespace}/{name}\") no longer exists; {remedy}"
        );
        Some((reasons::PRIVATE_DATA_MISSING, message))
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<Item>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Meta,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    strategy_revision: Option<String>,
    private_data: Option<String>,
    conditions: Option<Vec<Said>>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type")]
    type_: String,
    #[serde(default)]
    status: String,
}

impl From<Item> for Pins {
    fn from(item: Item) -> Self {
        let status = item.status.unwrap_or_default();
        let said = status.conditions.into_iter().flatten().find(|c| c.type_ == types::RESTORABLE);
        Self {
            namespace: item.metadata.namespace,
            name: item.metadata.name,
            revision: status.strategy_revision.filter(|name| !name.is_empty()),
            private: status.private_data.filter(|name| !name.is_empty()),
            ready: status.phase.as_deref() == Some(phase::READY)
                && item.metadata.deletion_timestamp.is_none(),
            said: said.map(|c| c.status == "True"),
        }
    }
}

/// A page of what Backups need.
#[derive(Debug, PartialEq)]
pub struct Page {
    /// What these Backups need.
    pub backups: Vec<Pins>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

/// Returns a page of what all Backups need: the first one, or the one that the page before named.
///
/// # Errors
/// The API server's.
pub async fn page(token: Option<String>, client: &Client) -> Result<Page, ApiError> {
    let params = ListParams { limit: Some(PAGE), continue_token: token, ..ListParams::default() };
    let list = async {
        let request = Request::new(format!("/apis/{API_VERSION}/backups")).list(&params);
        client.request::<List>(request.map_err(kube::Error::BuildRequest)?).await
    };
    let list = list.await.map_err(|e| ApiError::new("listing Backups", e))?;
    let next = list.metadata.token.filter(|token| !token.is_empty());
    Ok(Page { backups: list.items.into_iter().map(Pins::from).collect(), next })
}

/// Returns the condition `Restorable` of a Backup from which `missing` is missing.
#[must_use]
pub fn restorable(missing: Option<&(&'static str, String)>) -> (Option<bool>, &'static str, String) {
    match missing {
        Some((reason, message)) => (Some(false), reason, message.clone()),
        None => (Some(true), reasons::BACKUP_READY, "what was missing is there again".to_owned()),
    }
}

/// Returns the conditions of a raw object.
#[must_use]
pub fn conditions_of(status: &serde_json::Value) -> Vec<Condition> {
    serde_json::from_value(status["conditions"].clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;

    fn pins(status: serde_json::Value) -> Pins {
        let item = json!({"metadata": {"name": "b", "namespace": "n"}, "status": status});
        serde_json::from_value::<Item>(item).unwrap().into()
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_backup_whose_revision_or_private_data_is_gone_cannot_be_restored() {
        let both = pins(json!({"phase": "Ready", "strategyRevision": "r", "privateData": "p"}));
        let missing = |revisions, private| both.missing(&names(revisions), &names(private), "system");
        assert_eq!(missing(&["r"], &["p"]), None);
        let (reason, message) = missing(&["other"], &["p"]).unwrap();
        assert_eq!(reason, "StrategySnapshotCorrupt");
        assert!(message.contains("ControllerRevision \"system/r\""), "{message}");
        let (reason, message) = missing(&["r"], &[]).unwrap();
        assert_eq!(reason, "PrivateDataMissing");
        assert!(message.contains("Secret \"system/p\""), "{message}");
        assert_eq!(pins(json!({"phase": "Ready"})).missing(&names(&[]), &names(&[]), "system"), None);
    }

    #[tokio::test]
    async fn what_backups_need_is_read_from_their_statuses_whatever_else_they_hold() {
        let server = StandIn::default();
        let status = json!({"phase": "Ready", "strategyRevision": "r",
            "conditions": [{"type": "Restorable", "status": "False"}]});
        server.put(
            "/apis/backups.cozystack.io/v1alpha1/namespaces/n/backups/b",
            json!({"metadata": {"name": "b", "namespace": "n"}, "spec": {"takenAt": "9999-12-31T23:59:59.9999999999Z"},
                "status": status}),
        );
        let found = page(None, &server.client()).await.unwrap();
        let expected = Pins {
            namespace: "n".into(),
            name: "b".into(),
            revision: Some("r".into()),
            ready: true,
            said: Some(false),
            ..Pins::default()
        };
        assert_eq!(found, Page { backups: vec![expected], next: None });
    }
}
