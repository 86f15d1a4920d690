//! A guest of tests: backs an application up by requesting a copy. It observes the application, creates a ConfigMap that
//! requests the copy, waits until the ConfigMap says `ready`, and is done. It makes every kind of decision of the
//! contract.

use backstay_sdk::prelude::*;
use backstay_sdk::step::{
    Action, Create, Delete, GetQuery, Propagation, ReadError, Step, Stop, View, Wait, Watch, WriteError,
};
use backstay_sdk::{Access, Descriptor, Event, ObjectRef, Scope, Stage, Value, Verbs, json};
use backstay_sdk::{Deserialize, Serialize};

/// Default limit of a copy, in seconds.
const COPY_SECONDS: u32 = 600;

/// Requests a copy, and waits for it.
#[derive(Debug)]
pub struct Copier;

/// The spec of a `Copy`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct CopySpec {
    /// Name of the program that makes the copy.
    pub copier: String,
    /// Limit of the copy, in seconds.
    pub timeout_seconds: Option<u32>,
}

/// The checkpoint after the request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
struct Asked {
    /// The requested version of the application.
    source_version: String,
}

impl Strategy for Copier {
    const NAME: &'static str = "copier";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind = Kind { group: "test.backstay.dev", version: "v1", kind: "Copy", plural: "copies" };
    const TRAITS: Traits = Traits { cancel: true, ..Traits::NONE };
    const LONGEST_RUN: u32 = 3600;
    type Spec = CopySpec;

    fn describe() -> Descriptor {
        let stage = |name: &str, about: &str| Stage {
            mode: Mode::Backup,
            name: name.to_owned(),
            about: about.to_owned(),
            keeps_checkpoint: false,
        };
        let mut descriptor = Descriptor::of::<Self>();
        descriptor.access.push(Access {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            plural: "configmaps".to_owned(),
            scope: Scope::Run,
            verbs: Verbs { get: true, watch: true, create: true, delete: true, ..Verbs::default() },
            fields: Vec::new(),
            guards: Vec::new(),
        });
        descriptor.stages = vec![stage("copy", "ask for the copy, and wait until it is there")];
        descriptor
    }
}

impl ResourceStrategy for Copier {
    fn step(request: &Request<CopySpec>, view: &View) -> Result<Step, Stop> {
        let spec = request.spec()?;
        let copy = ObjectRef::namespaced(
            "v1",
            "ConfigMap",
            request.namespace(),
            &format!("{}-copy", request.run.name),
        );
        if request.cancelled.is_some() {
            return undo(view, copy);
        }
        match view.stage() {
            "" => ask(request, spec, view, &copy),
            _ => wait(request, spec, view, copy),
        }
    }
}

/// Requests a copy of the application, once the application exists.
fn ask(request: &Request<CopySpec>, spec: &CopySpec, view: &View, copy: &ObjectRef) -> Result<Step, Stop> {
    let application = match view.get(&request.application)? {
        Ok(application) => application,
        Err(ReadError::NotFound) => {
            return Ok(Step::wait(Wait {
                reason: "ApplicationMissing".to_owned(),
                message: format!("{} is not there yet", request.application.name),
                watch: vec![Watch::Object(request.application.clone())],
                recheck_after: 60,
                deadline: request.deadline,
            }));
        }
        Err(e) => return Err(unreadable(&request.application, e)),
    };
    let version = application["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    log::info(format_args!("asking {} for a copy of version {version}", spec.copier));
    let asked = Asked { source_version: version.to_owned() };
    Ok(create(request, spec, copy, &asked).with_event(Event {
        warning: false,
        reason: "CopyRequested".to_owned(),
        message: format!("asked {} for a copy", spec.copier),
    }))
}

fn create(request: &Request<CopySpec>, spec: &CopySpec, copy: &ObjectRef, asked: &Asked) -> Step {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": copy.namespace, "name": copy.name},
        "data": {"of": request.application.name, "by": spec.copier, "version": asked.source_version},
    });
    Step::act(vec![Action::Create(Create { manifest, dry_run: false })]).remember("copy", asked)
}

/// Waits for the copy. After a restart of the host the results are lost, so it checks first whether the request exists.
fn wait(request: &Request<CopySpec>, spec: &CopySpec, view: &View, copy: ObjectRef) -> Result<Step, Stop> {
    let Some(checkpoint) = &view.checkpoint else {
        return Err(Failure::new("InvalidCheckpoint", "there is a stage but no checkpoint").into());
    };
    let asked: Asked = checkpoint.decode()?;
    if let Some(Err(WriteError::AlreadyExists(_))) = view.results.first().map(|r| &r.value) {
        let message = format!("ConfigMap {} is somebody else's; delete or rename it", copy.name);
        return Err(Failure::new("CopyNameTaken", message).into());
    }
    let object = match view.get(&copy)? {
        Ok(object) => object,
        Err(ReadError::NotFound) => return Ok(create(request, spec, &copy, &asked)),
        Err(e) => return Err(unreadable(&copy, e)),
    };
    if object["data"]["ready"] == "true" {
        return Ok(Step::done(Some(outcome(&asked, &copy, object))));
    }
    let seconds = spec.timeout_seconds.unwrap_or(COPY_SECONDS);
    let deadline = view.stage_since + i64::from(seconds);
    if request.now >= deadline {
        let message = format!("{} did not copy within {seconds} s; see its log", spec.copier);
        return Err(Failure::new("CopyTimedOut", message).into());
    }
    Ok(Step::wait(Wait {
        reason: "Copying".to_owned(),
        message: format!("waiting for {} to be ready", copy.name),
        watch: vec![Watch::Object(copy)],
        recheck_after: 60,
        deadline,
    }))
}

fn outcome(asked: &Asked, copy: &ObjectRef, object: &Value) -> Outcome {
    let uri = object["data"]["uri"].as_str().map(str::to_owned);
    let metadata = [
        ("test.backstay.dev/copy".to_owned(), copy.name.clone()),
        ("test.backstay.dev/version".to_owned(), asked.source_version.clone()),
    ];
    Outcome {
        artifact: uri.map(|uri| Artifact { uri, size_bytes: None, checksum: None }),
        metadata: metadata.into(),
        ..Outcome::default()
    }
}

/// Deletes the request, if it still exists, and ends.
fn undo(view: &View, copy: ObjectRef) -> Result<Step, Stop> {
    let query = GetQuery { object: copy.clone(), live: true, fields: vec!["/metadata".to_owned()] };
    let uid = match view.get_with(query)? {
        Ok(object) if object["metadata"]["deletionTimestamp"].is_null() => {
            object["metadata"]["uid"].as_str().map(str::to_owned)
        }
        _ => None,
    };
    match uid {
        Some(uid) if view.results.is_empty() => Ok(Step::act(vec![Action::Delete(Delete {
            object: copy,
            uid,
            resource_version: None,
            propagation: Propagation::Background,
        })])),
        _ => Err(Failure::new("Cancelled", "the run was cancelled before the copy was ready").into()),
    }
}

fn unreadable(object: &ObjectRef, error: &ReadError) -> Stop {
    let message = format!("{} {} cannot be read: {error:?}", object.kind, object.name);
    Failure::new("Unreadable", message).into()
}

backstay_sdk::export_resource!(Copier);
