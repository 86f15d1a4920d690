//! What is read of each kind.

use std::fmt::Debug;

use backstay_api::{Backup, BackupClass, BackupJob, Plan, RestoreJob};
use backstay_core::contract::Json;
use backstay_core::json::{Budget, parse};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus, Secret};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Resource;
use kube::api::{DynamicObject, PartialObjectMeta, TypeMeta};
use kube::core::ObjectMeta;
use serde::Deserialize;

use super::metadata::without_place;
use super::{Fields, PartialDecode, Read};

/// What an object of a kind that is known only at run time may cost: as many values and levels as a component may return.
const BUDGET: Budget = Budget { values: 50_000, levels: 100 };

/// Objects of our kinds may hold anything that the installed CRD admits, which may be another version's.
macro_rules! judged_by_itself {
    ($($kind:ident)*) => {$(
        impl PartialDecode for $kind {
            const READ: Read = Read::Fields(&["spec", "status"]);

            fn assemble(metadata: ObjectMeta, mut fields: Fields) -> Result<Self, String> {
                let spec = fields.take("spec")?.ok_or("missing field `spec`")?;
                Ok(Self { metadata, spec, status: fields.take("status")? })
            }
        }
    )*};
}

judged_by_itself!(Backup BackupClass BackupJob Plan RestoreJob);

impl<K> PartialDecode for PartialObjectMeta<K>
where
    K: Resource + Clone + Debug + Send + Sync + 'static,
{
    const READ: Read = Read::Fields(&[]);

    fn assemble(metadata: ObjectMeta, _: Fields) -> Result<Self, String> {
        Ok(Self { types: None, metadata, _phantom: Default::default() })
    }
}

/// The part of a pod's spec: which init containers are sidecars.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InitContainers {
    init_containers: Option<Vec<InitContainer>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InitContainer {
    name: String,
    restart_policy: Option<String>,
}

impl PartialDecode for Pod {
    const READ: Read = Read::Fields(&["spec", "status"]);

    fn assemble(metadata: ObjectMeta, mut fields: Fields) -> Result<Self, String> {
        let spec = fields.take::<InitContainers>("spec")?;
        let init = spec.and_then(|spec| spec.init_containers).unwrap_or_default();
        let sidecars: Vec<Container> = init
            .into_iter()
            .filter(|container| container.restart_policy.is_some())
            .map(|c| Container { name: c.name, restart_policy: c.restart_policy, ..Container::default() })
            .collect();
        // Few pods have one, and the spec of a pod is large.
        let spec =
            (!sidecars.is_empty()).then(|| PodSpec { init_containers: Some(sidecars), ..PodSpec::default() });
        Ok(Self { metadata, spec, status: fields.take::<PodStatus>("status")? })
    }
}

/// The part of a Job's spec.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lifetime {
    suspend: Option<bool>,
    ttl_seconds_after_finished: Option<i32>,
}

impl PartialDecode for Job {
    const READ: Read = Read::Fields(&["spec", "status"]);

    fn assemble(metadata: ObjectMeta, mut fields: Fields) -> Result<Self, String> {
        let spec = fields.take::<Lifetime>("spec")?.map(|spec| JobSpec {
            suspend: spec.suspend,
            ttl_seconds_after_finished: spec.ttl_seconds_after_finished,
            ..JobSpec::default()
        });
        Ok(Self { metadata, spec, status: fields.take::<JobStatus>("status")? })
    }
}

/// Kinds of which everything is read.
macro_rules! whole {
    ($($kind:ident { $($field:ident: $name:literal),* })*) => {$(
        impl PartialDecode for $kind {
            const READ: Read = Read::Whole;

            fn assemble(metadata: ObjectMeta, mut fields: Fields) -> Result<Self, String> {
                Ok(Self { metadata, $($field: fields.take($name)?.unwrap_or_default(),)* })
            }
        }
    )*};
}

whole! {
    Secret { data: "data", immutable: "immutable", string_data: "stringData", type_: "type" }
    ControllerRevision { data: "data", revision: "revision" }
    APIService { spec: "spec", status: "status" }
}

impl PartialDecode for DynamicObject {
    const READ: Read = Read::Whole;

    fn assemble(metadata: ObjectMeta, mut fields: Fields) -> Result<Self, String> {
        let types = match (fields.take("apiVersion")?, fields.take("kind")?) {
            (Some(api_version), Some(kind)) => Some(TypeMeta { api_version, kind }),
            _ => None,
        };
        let mut budget = BUDGET;
        let mut data = serde_json::Map::new();
        for (name, text) in fields.0 {
            let value =
                parse(text.get(), &mut budget).map_err(|e| format!("{name}: {}", without_place(&e)))?;
            data.insert(name, value);
        }
        Ok(Self { types, metadata, data: Json::Object(data) })
    }
}
