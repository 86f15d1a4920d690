//! Objects that the administrator of the cluster applies and reads, in JSON.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use backstay_core::contract::Json;
use devcluster::api::{ApiServer, Served};
use devcluster::client::{Api, Ask, Over};
use http::Method;
use serde_json::json;

/// Who applies, in `managedFields`.
const MANAGER: &str = "backstay-dev";
const APPLY: &str = "application/apply-patch+yaml";

/// The administrator of a cluster in memory.
#[derive(Clone)]
pub struct Admin {
    server: ApiServer,
    api: Api,
}

/// A custom kind without a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural.
    pub plural: String,
    /// Whether its status is written for itself.
    pub status: bool,
}

impl Kind {
    /// Returns the kind of an object, with the plural that most kinds have and no status of its own.
    ///
    /// # Errors
    /// The object names no custom kind.
    pub fn of(object: &Json) -> anyhow::Result<Self> {
        let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
        let Some((group, version)) = version.and_then(|version| version.split_once('/')) else {
            bail!("kind {} of the core group is not served", object["kind"]);
        };
        let kind = kind.ok_or_else(|| anyhow!("an object has no kind"))?;
        Ok(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
            status: false,
        })
    }
}

impl Admin {
    /// The administrator of this cluster, by this token if who sends none is not the administrator.
    #[must_use]
    pub fn new(server: ApiServer, token: Option<&str>) -> Self {
        let over = Over::new(server.clone(), MANAGER);
        let api: Api = match token {
            Some(token) => Arc::new(over.with_token(token)),
            None => Arc::new(over),
        };
        Self { server, api }
    }

    /// Returns the API server.
    #[must_use]
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// Returns the client.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Reads an object or a list; `None` if it is not there.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn read(&self, path: &str) -> anyhow::Result<Option<Json>> {
        match self.api.get(path).await {
            Ok(object) => Ok(Some(object)),
            Err(refused) if refused.is_absent() => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Applies an object, in `namespace` if its kind is namespaced and it names none.
    ///
    /// # Errors
    /// Its kind is not served, or the API server refuses; the message names the object.
    pub async fn apply(&self, object: &Json, namespace: &str) -> anyhow::Result<Json> {
        let title = format!("{} {}", object["kind"], object["metadata"]["name"]);
        let path = self.path(object, namespace)?.with_context(|| format!("{title}: no such kind"))?;
        let path = format!("{path}?fieldManager={MANAGER}&force=true");
        let ask = Ask { method: Method::PATCH, path, content_type: APPLY, body: Some(object.clone()) };
        self.api.send(ask).await.with_context(|| format!("{title} cannot be applied"))
    }

    /// Returns where an object is; `None` if its kind is not served.
    ///
    /// # Errors
    /// The object lacks its version, kind or name.
    pub fn path(&self, object: &Json, namespace: &str) -> anyhow::Result<Option<String>> {
        let name = object["metadata"]["name"].as_str();
        let name = name.with_context(|| format!("a {} has no metadata.name", object["kind"]))?;
        let own = object["metadata"]["namespace"].as_str();
        let served = self.served(object)?;
        Ok(served.map(|served| format!("{}/{name}", served.path(own.unwrap_or(namespace)))))
    }

    /// Returns how the kind of an object is served; `None` if it is not.
    ///
    /// # Errors
    /// The object lacks its version or kind.
    pub fn served(&self, object: &Json) -> anyhow::Result<Option<Served>> {
        let version = object["apiVersion"].as_str().context("an object has no apiVersion")?;
        let kind = object["kind"].as_str().context("an object has no kind")?;
        Ok(self.server.served(version, kind))
    }

    /// Makes a kind of an object whose kind is not served.
    ///
    /// # Errors
    /// The group has such a kind in another version, or the API server refuses.
    pub async fn make_kind(&self, made: &Kind) -> anyhow::Result<()> {
        let Kind { group, version, kind, plural, status } = made;
        let definition = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}");
        if self.read(&definition).await?.is_some() {
            bail!(
                "{group} has {plural}, but not {kind} of version {version}: correct the apiVersion or the kind"
            );
        }
        let subresources = if *status { json!({"status": {}}) } else { json!({}) };
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                "versions": [{"name": version, "served": true, "storage": true, "subresources": subresources,
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
        self.apply(&crd, "").await.map(drop)
    }

    /// Lets the controller read a kind of applications.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn may_read(&self, group: &str, plural: &str) -> anyhow::Result<()> {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": format!("backstay-dev-{plural}.{group}"),
                "labels": {"backstay.dev/aggregate-to-applications": "true"}},
            "rules": [{"apiGroups": [group], "resources": [plural], "verbs": ["get"]}]});
        self.apply(&role, "").await.map(drop)
    }
}
