//! Discovery of the kinds of applications, with a cache.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use backstay_api::TypedRef;
use backstay_core::contract::GroupKind;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::core::Status;
use kube::discovery::{self, Scope};
use kube::error::DiscoveryError;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::api::Api;
use super::dynamic;

/// How long an answer is cached. A kind that was not found is looked up again each time.
const FRESH: Duration = Duration::from_secs(600);
/// How long a look-up may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a group that did not answer is not asked again.
const SILENCE: Duration = Duration::from_secs(15);

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

/// The cached answers. No lock is held while the API server is asked: one aggregated API that does not answer holds up those
/// who ask for it, and nobody else.
#[derive(Debug)]
pub struct Discovery {
    kinds: Mutex<HashMap<GroupKind, (Instant, Kind)>>,
    aggregated: Mutex<HashMap<String, (Instant, bool)>>,
    /// Groups that did not answer, and since when.
    silent: Mutex<HashMap<String, Instant>>,
    timeout: Duration,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            kinds: Mutex::default(),
            aggregated: Mutex::default(),
            silent: Mutex::default(),
            timeout: TIMEOUT,
        }
    }
}

impl Discovery {
    /// Returns whether an aggregated API server serves a version of a group (`v1`, `group/version`).
    ///
    /// # Errors
    /// The API server's, or it does not answer.
    pub async fn is_aggregated(&self, client: &Client, api_version: &str) -> Result<bool, kube::Error> {
        if let Some((at, answer)) = self.aggregated.lock().get(api_version)
            && at.elapsed() < FRESH
        {
            return Ok(*answer);
        }
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let api: Api<APIService> = Api::all(client.clone());
        let found = self.answered(group, api.get_opt(&format!("{version}.{group}"))).await?;
        let answer = found.is_some_and(|service| service.spec.is_some_and(|spec| spec.service.is_some()));
        self.aggregated.lock().insert(api_version.to_owned(), (Instant::now(), answer));
        Ok(answer)
    }

    /// Returns the kind of `application` in the group's preferred version; `None` if the API server does not serve it. What was
    /// known of a group that does not answer is not forgotten.
    ///
    /// # Errors
    /// The API server's, or it does not answer.
    pub async fn kind(&self, client: &Client, application: &TypedRef) -> Result<Option<Kind>, kube::Error> {
        let key = GroupKind::from(application);
        let known = self.kinds.lock().get(&key).cloned();
        if let Some((at, kind)) = &known
            && at.elapsed() < FRESH
        {
            return Ok(Some(kind.clone()));
        }
        let group = match self.answered(&key.group, discovery::group(client, &key.group)).await {
            Ok(group) => group,
            Err(kube::Error::Discovery(DiscoveryError::MissingApiGroup(_))) => return Ok(None),
            Err(kube::Error::Api(status)) if Status::is_not_found(&status) => return Ok(None),
            Err(error) => return known.map(|(_, kind)| Some(kind)).ok_or(error),
        };
        let Some((resource, capabilities)) = group.recommended_kind(&key.kind) else { return Ok(None) };
        let kind = Kind { resource, namespaced: matches!(capabilities.scope, Scope::Namespaced) };
        self.kinds.lock().insert(key, (Instant::now(), kind.clone()));
        Ok(Some(kind))
    }

    /// Waits for an answer about a group, up to a deadline. A group that did not answer is not asked again for a while: whoever
    /// names it would wait in a place that others need.
    async fn answered<T>(
        &self,
        group: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, kube::Error> {
        let silence = |since: &Instant| since.elapsed() < SILENCE;
        if self.silent.lock().get(group).is_some_and(silence) {
            return Err(self.not_answered(group));
        }
        if let Ok(answer) = tokio::time::timeout(self.timeout, call).await {
            self.silent.lock().remove(group);
            return answer;
        }
        let mut silent = self.silent.lock();
        silent.retain(|_, since| silence(since));
        silent.insert(group.to_owned(), Instant::now());
        Err(self.not_answered(group))
    }

    fn not_answered(&self, group: &str) -> kube::Error {
        let message = format!(
            "API group {group:?} did not answer within {} seconds; if its APIService names a Service, look at that",
            self.timeout.as_secs()
        );
        kube::Error::Service(io::Error::new(io::ErrorKind::TimedOut, message).into())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use backstay_core::retry::Class;
    use serde_json::json;

    use super::*;
    use crate::cluster::error::class;
    use crate::cluster::stand_in::{Fault, StandIn};

    /// Has the API server serve kind Postgres of `apps.cozystack.io/v1` and of an older version.
    pub(crate) fn serve_postgres(server: &StandIn) {
        let version = |v: &str| json!({"groupVersion": format!("apps.cozystack.io/{v}"), "version": v});
        let group = json!({"name": "apps.cozystack.io", "versions": [version("v1beta1"), version("v1")],
            "preferredVersion": version("v1")});
        server.put("/apis", json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}));
        for v in ["v1", "v1beta1"] {
            let resource = json!({"name": "postgreses", "singularName": "postgres", "namespaced": true,
                "kind": "Postgres", "verbs": ["get"]});
            let resources = json!({"kind": "APIResourceList", "apiVersion": "v1",
                "groupVersion": format!("apps.cozystack.io/{v}"), "resources": [resource]});
            server.put(&format!("/apis/apps.cozystack.io/{v}"), resources);
        }
    }

    fn postgres() -> TypedRef {
        TypedRef {
            api_group: Some("apps.cozystack.io".to_owned()),
            kind: "Postgres".to_owned(),
            name: "orders".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_kind_is_found_in_the_preferred_version_of_its_group_and_looked_up_once() {
        let server = StandIn::default();
        serve_postgres(&server);
        let (discovery, client) = (Discovery::default(), server.client());
        for _ in 0..2 {
            let kind = discovery.kind(&client, &postgres()).await.unwrap().unwrap();
            let found = (kind.resource.api_version.as_str(), kind.resource.plural.as_str(), kind.namespaced);
            assert_eq!(found, ("apps.cozystack.io/v1", "postgreses", true));
        }
        let lists = server.calls().iter().filter(|call| *call == "GET /apis").count();
        assert_eq!(lists, 1);
    }

    #[tokio::test]
    async fn a_kind_that_is_not_served_is_looked_up_again_each_time() {
        let server = StandIn::default();
        let (discovery, client) = (Discovery::default(), server.client());
        server.put("/apis", json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}));
        assert!(discovery.kind(&client, &postgres()).await.unwrap().is_none());
        serve_postgres(&server);
        let other = TypedRef { kind: "MySQL".to_owned(), ..postgres() };
        assert!(discovery.kind(&client, &other).await.unwrap().is_none(), "its group is served");
        assert!(discovery.kind(&client, &postgres()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_lookup_that_fails_is_no_answer() {
        let server = StandIn::default();
        let discovery = Discovery::default();
        server.fault(0, Fault::Answer(503, "ServiceUnavailable"));
        assert!(discovery.kind(&server.client(), &postgres()).await.is_err());
    }

    #[tokio::test]
    async fn a_version_is_aggregated_if_its_api_service_names_a_service_and_that_is_looked_up_once() {
        let server = StandIn::default();
        let (discovery, client) = (Discovery::default(), server.client());
        let service = |version: &str, service: Option<&str>| {
            let spec = json!({"groupPriorityMinimum": 1, "versionPriority": 1, "service": service.map(|name| json!({"name": name}))});
            let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}");
            server.put(&path, json!({"metadata": {"name": version}, "spec": spec}));
        };
        service("v1.apps", None);
        service("v1.metrics.example.org", Some("metrics"));
        for _ in 0..2 {
            for (version, aggregated) in
                [("apps/v1", false), ("metrics.example.org/v1", true), ("gone/v1", false)]
            {
                assert_eq!(discovery.is_aggregated(&client, version).await.unwrap(), aggregated, "{version}");
            }
        }
        assert_eq!(server.calls().len(), 3);
    }

    /// An API server that answers nothing about group `hangs.example.org`, and refuses everything else.
    fn hanging() -> Client {
        let answer = |request: http::Request<kube::client::Body>| async move {
            let path = request.uri().path();
            if path.contains("hangs") {
                std::future::pending::<()>().await;
            }
            let group = |name: &str| {
                json!({"name": name, "versions": [{"groupVersion": format!("{name}/v1"), "version": "v1"}],
                "preferredVersion": {"groupVersion": format!("{name}/v1"), "version": "v1"}})
            };
            let answer = match path {
                "/apis" => json!({"kind": "APIGroupList", "apiVersion": "v1",
                    "groups": [group("hangs.example.org"), group("answers.example.org")]}),
                _ => {
                    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "answers.example.org/v1",
                    "resources": [{"name": "xs", "singularName": "x", "namespaced": true, "kind": "X", "verbs": ["get"]}]})
                }
            };
            let body = kube::client::Body::from(serde_json::to_vec(&answer)?);
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(http::Response::new(body))
        };
        Client::new(tower::service_fn(answer), "default")
    }

    #[tokio::test]
    async fn an_api_that_does_not_answer_holds_up_nobody_who_asks_for_another_and_is_told_in_time() {
        let client = hanging();
        let discovery = Discovery { timeout: Duration::from_millis(300), ..Discovery::default() };
        let named = |group: &str| TypedRef {
            api_group: Some(format!("{group}.example.org")),
            kind: "X".to_owned(),
            name: "x".to_owned(),
        };
        let (hangs, answers) = (named("hangs"), named("answers"));
        let (silent, answered) = tokio::join!(discovery.kind(&client, &hangs), async {
            let begun = Instant::now();
            (discovery.kind(&client, &answers).await, begun.elapsed())
        });
        assert!(answered.0.unwrap().is_some());
        assert!(answered.1 < Duration::from_millis(300), "{:?}", answered.1);
        let error = silent.unwrap_err();
        assert_eq!(class(&error), Class::Retry { after: None });
        assert!(error.to_string().contains("API group \"hangs.example.org\" did not answer"), "{error}");
        let begun = Instant::now();
        assert!(discovery.kind(&client, &hangs).await.is_err());
        assert!(begun.elapsed() < Duration::from_millis(100), "it is not asked again at once");
    }
}
