//! Partial decoding: watched objects keep only the fields that the controller reads.
//!
//! A fourth of an object is `managedFields`, most of a pod or Job is its spec, and a run causes some twenty events. Decoding
//! whole objects was a large part of the controller's CPU time (docs/decisions/0012-one-thread-and-lean-objects.md).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

use backstay_api::{Backup, BackupClass, BackupJob, Plan, RestoreJob};
use backstay_core::contract::Json;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::Resource;
use kube::api::PartialObjectMeta;
use kube::core::ObjectMeta;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// A partly decoded object, or why it does not decode.
#[derive(Clone, Debug)]
pub struct Partial<K>(pub Result<K, Box<Invalid>>);

impl<K> Partial<K> {
    /// Returns the object.
    ///
    /// # Errors
    /// The object does not decode.
    pub fn decoded(self) -> Result<K, kube::Error> {
        self.0.map_err(|invalid| kube::Error::SerdeError(serde_json::Error::custom(invalid.error)))
    }
}

/// An object that does not decode.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// Its name, namespace, uid and resource version.
    pub metadata: ObjectMeta,
    /// Why it does not decode.
    pub error: String,
}

/// A kind that is assembled from decoded parts.
pub trait PartialDecode: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static {
    /// The part of the spec.
    type Spec: DeserializeOwned;
    /// The part of the status.
    type Status: DeserializeOwned;

    /// Assembles the object.
    ///
    /// # Errors
    /// A part does not decode.
    fn assemble(
        metadata: ObjectMeta,
        spec: Option<Self::Spec>,
        status: Option<Self::Status>,
    ) -> Result<Self, serde_json::Error>;
}

#[derive(Deserialize)]
struct Decoded<S, T> {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default = "none")]
    spec: Option<S>,
    #[serde(default = "none")]
    status: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

/// [`ObjectMeta`] without `managedFields`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generate_name: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

impl From<Metadata> for ObjectMeta {
    fn from(metadata: Metadata) -> Self {
        Self {
            annotations: metadata.annotations,
            creation_timestamp: metadata.creation_timestamp,
            deletion_grace_period_seconds: metadata.deletion_grace_period_seconds,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            generate_name: metadata.generate_name,
            generation: metadata.generation,
            labels: metadata.labels,
            name: metadata.name,
            namespace: metadata.namespace,
            owner_references: metadata.owner_references,
            resource_version: metadata.resource_version,
            uid: metadata.uid,
            managed_fields: None,
            self_link: None,
        }
    }
}

impl<'de, K: PartialDecode> Deserialize<'de> for Partial<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Decoded { metadata, spec, status } = Decoded::<K::Spec, K::Status>::deserialize(deserializer)?;
        let metadata = ObjectMeta::from(metadata);
        // An object that does not decode is only named.
        let refused = ObjectMeta {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let assembled = K::assemble(metadata, spec, status);
        Ok(Self(assembled.map_err(|error| Box::new(Invalid { metadata: refused, error: error.to_string() }))))
    }
}

impl<K: Resource> Resource for Partial<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

/// Decodes a part of an object. An error begins with the part's name.
fn part<T: DeserializeOwned>(name: &str, value: Json) -> Result<T, serde_json::Error> {
    serde_json::from_value(value).map_err(|error| serde_json::Error::custom(format!("{name}: {error}")))
}

/// Objects of our kinds may hold anything that the installed CRD admits, which may be another version's.
macro_rules! judged_by_itself {
    ($($kind:ident)*) => {$(
        impl PartialDecode for $kind {
            type Spec = Json;
            type Status = Json;

            fn assemble(
                metadata: ObjectMeta,
                spec: Option<Json>,
                status: Option<Json>,
            ) -> Result<Self, serde_json::Error> {
                let spec = spec.ok_or_else(|| serde_json::Error::missing_field("spec"))?;
                Ok(Self { metadata, spec: part("spec", spec)?, status: part("status", status.unwrap_or_default())? })
            }
        }
    )*};
}

judged_by_itself!(Backup BackupClass BackupJob RestoreJob Plan);

impl<K> PartialDecode for PartialObjectMeta<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    type Spec = IgnoredAny;
    type Status = IgnoredAny;

    fn assemble(
        metadata: ObjectMeta,
        _: Option<IgnoredAny>,
        _: Option<IgnoredAny>,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self { types: None, metadata, _phantom: Default::default() })
    }
}

/// The part of a pod's spec: which init containers are sidecars.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitContainers {
    init_containers: Option<Vec<InitContainer>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InitContainer {
    name: String,
    restart_policy: Option<String>,
}

impl PartialDecode for Pod {
    type Spec = InitContainers;
    type Status = PodStatus;

    fn assemble(
        metadata: ObjectMeta,
        spec: Option<InitContainers>,
        status: Option<PodStatus>,
    ) -> Result<Self, serde_json::Error> {
        let init = spec.and_then(|spec| spec.init_containers).unwrap_or_default();
        let sidecars: Vec<Container> = init
            .into_iter()
            .filter(|container| container.restart_policy.is_some())
            .map(|c| Container { name: c.name, restart_policy: c.restart_policy, ..Container::default() })
            .collect();
        // Few pods have one, and the spec of a pod is large.
        let spec =
            (!sidecars.is_empty()).then(|| PodSpec { init_containers: Some(sidecars), ..PodSpec::default() });
        Ok(Self { metadata, spec, status })
    }
}

/// The part of a Job's spec.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifetime {
    suspend: Option<bool>,
    ttl_seconds_after_finished: Option<i32>,
}

impl PartialDecode for Job {
    type Spec = Lifetime;
    type Status = JobStatus;

    fn assemble(
        metadata: ObjectMeta,
        spec: Option<Lifetime>,
        status: Option<JobStatus>,
    ) -> Result<Self, serde_json::Error> {
        let spec = spec.map(|spec| JobSpec {
            suspend: spec.suspend,
            ttl_seconds_after_finished: spec.ttl_seconds_after_finished,
            ..JobSpec::default()
        });
        Ok(Self { metadata, spec, status })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lean<K: PartialDecode>(object: Json) -> Result<K, Box<Invalid>> {
        serde_json::from_str::<Partial<K>>(&object.to_string()).expect("it is an object").0
    }

    #[test]
    fn a_job_keeps_what_is_read_of_it() {
        let job: Job = lean(json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 1,
                "creationTimestamp": "2026-07-01T00:00:00Z", "labels": {"l": "1"}, "annotations": {"a": "1"},
                "finalizers": ["f"], "deletionTimestamp": "2026-07-01T00:00:00Z", "deletionGracePeriodSeconds": 3,
                "generateName": "a-",
                "ownerReferences": [{"apiVersion": "v1", "kind": "BackupJob", "name": "b", "uid": "v"}],
                "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]},
            "spec": {"suspend": true, "ttlSecondsAfterFinished": 5, "template": {"spec": {"containers": []}}},
            "status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
        }))
        .unwrap();
        let mut whole = serde_json::to_value(&job).unwrap();
        assert_eq!(whole["metadata"]["managedFields"], Json::Null);
        assert_eq!(whole["spec"]["template"], json!({}));
        whole["spec"].as_object_mut().unwrap().remove("template");
        assert_eq!(
            whole,
            json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 1,
                    "creationTimestamp": "2026-07-01T00:00:00Z", "labels": {"l": "1"}, "annotations": {"a": "1"},
                    "finalizers": ["f"], "deletionTimestamp": "2026-07-01T00:00:00Z",
                    "deletionGracePeriodSeconds": 3, "generateName": "a-",
                    "ownerReferences": [{"apiVersion": "v1", "kind": "BackupJob", "name": "b", "uid": "v"}]},
                "spec": {"suspend": true, "ttlSecondsAfterFinished": 5},
                "status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
            })
        );
    }

    #[test]
    fn a_pod_keeps_its_status() {
        let pod: Pod = lean(json!({"metadata": {"name": "a"}, "spec": {"containers": "any"},
            "status": {"phase": "Running"}}))
        .unwrap();
        assert_eq!((pod.spec, pod.status.unwrap().phase.as_deref()), (None, Some("Running")));
    }

    #[test]
    fn a_pod_keeps_which_of_its_init_containers_are_sidecars() {
        let pod: Pod = lean(json!({"metadata": {"name": "a"}, "spec": {"containers": [], "initContainers": [
            {"name": "setup", "image": "i"}, {"name": "proxy", "image": "i", "restartPolicy": "Always"}]}}))
        .unwrap();
        let kept: Vec<_> = pod.spec.unwrap().init_containers.unwrap();
        assert_eq!((kept.len(), kept[0].name.as_str()), (1, "proxy"));
    }

    #[test]
    fn a_run_is_as_it_would_be_decoded_whole() {
        let stored = json!({
            "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
            "metadata": {"name": "a", "namespace": "n"},
            "spec": {"backupClassName": "c", "applicationRef": {"kind": "Postgres", "name": "p"}},
            "status": {"phase": "Running"}
        });
        let whole: BackupJob = serde_json::from_value(stored.clone()).unwrap();
        let lean: BackupJob = lean(stored).unwrap();
        assert_eq!(serde_json::to_value(lean).unwrap(), serde_json::to_value(whole).unwrap());
    }

    #[test]
    fn a_run_that_does_not_decode_is_named_with_its_reason() {
        let invalid = lean::<BackupJob>(json!({"metadata": {"name": "a", "namespace": "n", "uid": "u"},
            "spec": {"backupClassName": 7}}))
        .unwrap_err();
        assert_eq!(invalid.metadata.name.as_deref(), Some("a"));
        assert!(invalid.error.starts_with("spec: ") && invalid.error.contains('7'), "{}", invalid.error);
        let invalid = lean::<BackupJob>(json!({"metadata": {"name": "a"}})).unwrap_err();
        assert_eq!(invalid.error, "missing field `spec`");
    }
}
