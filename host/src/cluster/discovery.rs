//! Discovery of the kinds of applications, with a cache.

use std::collections::HashMap;
use std::time::Duration;

use backstay_api::TypedRef;
use backstay_core::contract::GroupKind;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{ApiResource, DynamicObject};
use kube::core::Status;
use kube::discovery::{self, Scope};
use kube::error::DiscoveryError;
use kube::{Api, Client};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::dynamic;

/// How long an answer is cached. A kind that was not found is looked up again each time.
const FRESH: Duration = Duration::from_secs(600);

/// A kind that the API server serves.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its resource.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Kind {
    /// Returns the API of this kind; `namespace` is ignored for a cluster-scoped kind.
    #[must_use]
    pub fn api(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        dynamic::api(client.clone(), self.namespaced.then_some(namespace), &self.resource)
    }
}

/// The cached answers.
#[derive(Debug, Default)]
pub struct Discovery {
    kinds: Mutex<HashMap<GroupKind, (Instant, Kind)>>,
    aggregated: Mutex<HashMap<String, (Instant, bool)>>,
}

impl Discovery {
    /// Returns whether an aggregated API server serves a version of a group (`v1`, `group/version`).
    ///
    /// # Errors
    /// The API server's.
    pub async fn is_aggregated(&self, client: &Client, api_version: &str) -> Result<bool, kube::Error> {
        let mut known = self.aggregated.lock().await;
        if let Some((at, answer)) = known.get(api_version)
            && at.elapsed() < FRESH
        {
            return Ok(*answer);
        }
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let api: Api<APIService> = Api::all(client.clone());
        let found = api.get_opt(&format!("{version}.{group}")).await?;
        let answer = found.is_some_and(|service| service.spec.is_some_and(|spec| spec.service.is_some()));
        known.insert(api_version.to_owned(), (Instant::now(), answer));
        Ok(answer)
    }

    /// Returns the kind of `application` in the group's preferred version; `None` if the API server does not serve it.
    ///
    /// # Errors
    /// The API server's.
    pub async fn kind(&self, client: &Client, application: &TypedRef) -> Result<Option<Kind>, kube::Error> {
        let key = GroupKind::from(application);
        let mut known = self.kinds.lock().await;
        if let Some((at, kind)) = known.get(&key)
            && at.elapsed() < FRESH
        {
            return Ok(Some(kind.clone()));
        }
        let group = match discovery::group(client, &key.group).await {
            Ok(group) => group,
            Err(kube::Error::Discovery(DiscoveryError::MissingApiGroup(_))) => return Ok(None),
            Err(kube::Error::Api(status)) if Status::is_not_found(&status) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((resource, capabilities)) = group.recommended_kind(&key.kind) else { return Ok(None) };
        let kind = Kind { resource, namespaced: matches!(capabilities.scope, Scope::Namespaced) };
        known.insert(key, (Instant::now(), kind.clone()));
        Ok(Some(kind))
    }
}
