//! The CRDs of the group `backups.cozystack.io`.
//!
//! They are supersets of the Go implementation's: an object that is valid there is valid here and reads the same.
//! `tests/superset` compares both and lists every difference.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::annotations::OPTIONS_SOURCE_PREFIX;
use crate::schema::{prose, structural};
use crate::{Backup, BackupClass, BackupJob, Plan, RestoreJob};

/// Sources of a web console's choices: spec path of the field, and source.
type Choices = &'static [(&'static str, &'static str)];

/// Returns the CRDs of BackupClass, BackupJob, Backup, Plan and RestoreJob, as in `deploy/crds`.
///
/// Deterministic. [`crate::strategy_crd`] makes the CRDs of strategies from the descriptors of components.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        finish(BackupClass::crd(), &[]),
        runs_once(finish(
            BackupJob::crd(),
            &[
                ("applicationRef.kind", "appkind"),
                ("planRef.name", "plan"),
                ("backupClassName", "backupclass"),
            ],
        )),
        finish(Backup::crd(), &[("applicationRef.kind", "appkind")]),
        finish(Plan::crd(), &[("applicationRef.kind", "appkind"), ("backupClassName", "backupclass")]),
        runs_once(finish(
            RestoreJob::crd(),
            &[("backupRef.name", "backup"), ("targetApplicationRef.kind", "appkind")],
        )),
    ]
}

/// Completes a derived CRD. The derive's own `annotation` would annotate every object as well.
fn finish(mut crd: CustomResourceDefinition, choices: Choices) -> CustomResourceDefinition {
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    if !choices.is_empty() {
        let annotations = choices
            .iter()
            .map(|(path, source)| (format!("{OPTIONS_SOURCE_PREFIX}{path}"), (*source).to_owned()));
        crd.metadata.annotations = Some(annotations.collect());
    }
    with_schema(crd, finish_root)
}

/// Changes the schema of every version.
fn with_schema(mut crd: CustomResourceDefinition, change: impl Fn(&mut Value)) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|validation| validation.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            let mut json = serde_json::to_value(&*schema).expect("a schema has only text for keys");
            change(&mut json);
            *schema = serde_json::from_value(json).expect("the schema was one before, and has its keywords");
        }
    }
    crd
}

/// Makes the spec of a run immutable once the run has begun: its inputs are settled, a later edit would change nothing, and
/// its status would never be about the new generation.
fn runs_once(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    with_schema(crd, |schema| {
        schema["x-kubernetes-validations"] = json!([{
            "rule": "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['', 'Pending'] || \
                     has(self.spec) == has(oldSelf.spec) && (!has(self.spec) || self.spec == oldSelf.spec)",
            "message": "the spec of a run that has begun is immutable: create another one",
        }]);
    })
}

fn finish_root(schema: &mut Value) {
    prose::unwrap(schema);
    structural::normalise(schema);
    structural::refuse_null(schema);
    if let Some(object) = schema.as_object_mut() {
        // The Go implementation requires no spec.
        object.remove("required");
    }
    add_type_meta(schema);
}

/// The fields that every object has.
pub(crate) fn add_type_meta(schema: &mut Value) {
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = json!({"type": "object"});
}
