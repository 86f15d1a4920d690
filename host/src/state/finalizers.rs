//! The controller's finalizers: on Backups after which a component cleans up, or which a restore still reads, and on runs that may
//! have something to undo.

use backstay_api::{Backup, BackupJob, RestoreJob, annotations, finalizers, labels};
use backstay_core::contract::Mode;
use backstay_core::restored_run::begun_mark;
use backstay_core::retry::Class;
use kube::api::{PartialObjectMeta, Patch};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use crate::cluster::api::Api;
use crate::cluster::error::{ApiError, class, is_not_found};
use crate::cluster::partial::PartialDecode;
use crate::cluster::write::patch_params;
use crate::state::run::Run;

/// How well this process knows the finalizers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// This reconcile has read or written the object: it is like that, unless somebody was faster.
    Fresh,
    /// A watch has shown the object, and may be behind: it is read first.
    Seen,
}

/// Removes the controller's finalizers and that of the Go implementation from the object of a run. Other finalizers stay. A
/// missing object is no error.
///
/// # Errors
/// The API server's; a conflict means that the finalizers have changed since they were read.
pub async fn remove(run: &Run, known: Known, client: &Client) -> Result<(), ApiError> {
    remove_where(run, known, client, |finalizer| {
        finalizers::is_ours(finalizer) || finalizer == finalizers::UNDO
    })
    .await
}

/// Removes the finalizer that holds a run until its component has undone what it began.
///
/// # Errors
/// As [`remove`].
pub async fn remove_undo(run: &Run, known: Known, client: &Client) -> Result<(), ApiError> {
    remove_where(run, known, client, |finalizer| finalizer == finalizers::UNDO).await
}

/// Marks a run as begun ([`annotations::BEGUN`]), adds the finalizer that holds it if `hold` is set, and returns the object's
/// resource version. Both are kept by tools that restore objects without their status. A run that is held has a label too
/// ([`labels::HELD`]), by which it is found once it has ended.
///
/// # Errors
/// The API server's; a conflict means that the run has changed since it was seen.
pub async fn mark_begun(run: &Run, hold: bool, client: &Client) -> Result<String, ApiError> {
    let hold = hold && !run.is_held();
    if run.mode == Mode::Cleanup || (run.marks.begun && !hold) {
        return Ok(run.resource_version.clone());
    }
    let mark = begun_mark(run.name(), &run.uid);
    let mut metadata =
        json!({"resourceVersion": run.resource_version, "annotations": {annotations::BEGUN: mark}});
    if hold && let Some(fields) = metadata.as_object_mut() {
        let mut all = run.finalizers.clone();
        all.push(finalizers::UNDO.to_owned());
        fields.insert("finalizers".to_owned(), json!(all));
        fields.insert("labels".to_owned(), json!({labels::HELD: ""}));
    }
    let marked = match run.mode {
        Mode::Backup => {
            patch_metadata::<PartialObjectMeta<BackupJob>>(&namespaced(run, client), run.name(), metadata)
                .await
        }
        _ => {
            patch_metadata::<PartialObjectMeta<RestoreJob>>(&namespaced(run, client), run.name(), metadata)
                .await
        }
    };
    marked.map_err(|e| ApiError::new(format!("marking {} as begun", run.title()), e))
}

/// Holds a Backup with the controller's finalizer, unless it is held already.
///
/// # Errors
/// The API server's; a conflict means that the Backup has changed since it was read.
pub async fn hold(backup: &Backup, client: &Client) -> Result<(), ApiError> {
    if backup.finalizers().iter().any(|finalizer| finalizers::is_ours(finalizer)) {
        return Ok(());
    }
    let namespace = backup.namespace().unwrap_or_default();
    let api = Api::<PartialObjectMeta<Backup>>::namespaced(client.clone(), &namespace);
    let mut all = backup.finalizers().to_vec();
    all.push(finalizers::CLEANUP.to_owned());
    let added = patch(&api, &backup.name_any(), backup.resource_version(), &all).await.map(drop);
    added.map_err(|e| ApiError::new(format!("adding the finalizer of {}", title(backup)), e))
}

/// Removes the controller's finalizer from a Backup that nothing needs to hold. The Go implementation's stays, whose controller
/// would add it again.
///
/// # Errors
/// As [`hold`].
pub async fn let_go(backup: &Backup, client: &Client) -> Result<(), ApiError> {
    let namespace = backup.namespace().unwrap_or_default();
    let api = Api::<PartialObjectMeta<Backup>>::namespaced(client.clone(), &namespace);
    let kept: Vec<String> =
        backup.finalizers().iter().filter(|f| *f != finalizers::CLEANUP).cloned().collect();
    if kept == backup.finalizers() {
        return Ok(());
    }
    match patch(&api, &backup.name_any(), backup.resource_version(), &kept).await {
        Err(error) if !is_not_found(&error) => {
            Err(ApiError::new(format!("removing the finalizer of {}", title(backup)), error))
        }
        _ => Ok(()),
    }
}

fn title(backup: &Backup) -> String {
    format!("Backup \"{}/{}\"", backup.namespace().unwrap_or_default(), backup.name_any())
}

/// Removes the finalizers that `ours` selects.
async fn remove_where(
    run: &Run,
    known: Known,
    client: &Client,
    ours: impl Fn(&str) -> bool,
) -> Result<(), ApiError> {
    let taken = match run.mode {
        Mode::Backup => remove_from::<BackupJob>(run, known, client, ours).await,
        Mode::Restore => remove_from::<RestoreJob>(run, known, client, ours).await,
        Mode::Cleanup => remove_from::<Backup>(run, known, client, ours).await,
    };
    match taken {
        Err(error) if !is_not_found(&error) => {
            Err(ApiError::new(format!("removing the finalizer of {}", run.title()), error))
        }
        _ => Ok(()),
    }
}

fn namespaced<K>(run: &Run, client: &Client) -> Api<PartialObjectMeta<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + PartialDecode,
{
    Api::namespaced(client.clone(), run.namespace())
}

/// Removes the finalizers that `ours` selects from the object as this process knows it, or as it is.
async fn remove_from<K>(
    run: &Run,
    known: Known,
    client: &Client,
    ours: impl Fn(&str) -> bool,
) -> Result<(), kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + PartialDecode,
{
    let api = namespaced::<K>(run, client);
    let kept = |all: &[String]| -> Vec<String> { all.iter().filter(|f| !ours(f)).cloned().collect() };
    let kept_of_known = kept(&run.finalizers);
    if known == Known::Fresh && kept_of_known != run.finalizers {
        match patch_metadata(&api, run.name(), without(&run.resource_version, &kept_of_known)).await {
            Err(error) if class(&error) == Class::Conflict => {}
            done => return done.map(drop),
        }
    }
    let object = api.get(run.name()).await?;
    let version = object.resource_version().unwrap_or_default();
    let kept = kept(object.finalizers());
    if object.uid().as_deref() != Some(&run.uid) || kept == object.finalizers() {
        return Ok(());
    }
    patch_metadata(&api, run.name(), without(&version, &kept)).await.map(drop)
}

/// Returns the metadata of an object at this version that keeps these finalizers. The label goes with the finalizer that it is for.
fn without(version: &str, kept: &[String]) -> serde_json::Value {
    let mut metadata = json!({"resourceVersion": version, "finalizers": kept});
    if !kept.iter().any(|finalizer| finalizer == finalizers::UNDO)
        && let Some(fields) = metadata.as_object_mut()
    {
        fields.insert("labels".to_owned(), json!({labels::HELD: null}));
    }
    metadata
}

async fn patch<K>(
    api: &Api<PartialObjectMeta<K>>,
    name: &str,
    version: Option<String>,
    all: &[String],
) -> Result<String, kube::Error>
where
    K: Resource<DynamicType = ()> + PartialDecode,
{
    patch_metadata(api, name, json!({"resourceVersion": version, "finalizers": all})).await
}

async fn patch_metadata<K>(
    api: &Api<K>,
    name: &str,
    metadata: serde_json::Value,
) -> Result<String, kube::Error>
where
    K: Resource<DynamicType = ()> + PartialDecode,
{
    let body = json!({ "metadata": metadata });
    let patched = api.patch(name, &patch_params(), &Patch::Merge(body)).await?;
    Ok(patched.resource_version().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::state::run::tests::{BACKUP, BACKUP_JOB, RESTORE_JOB, begun, changed, shown_run, stored_run};

    const OTHER: &str = "example.org/other";

    /// Stores the object of a run with these finalizers, and returns the run.
    fn given(mode: Mode, path: &str, finalizers: &[&str], server: &StandIn) -> Run {
        stored_run(mode, begun(100), server);
        server.put(path, changed(path, &json!({"metadata": {"finalizers": finalizers}}), server));
        shown_run(mode, server)
    }

    fn stored(path: &str, server: &StandIn) -> Value {
        server.get(path).unwrap()["metadata"]["finalizers"].clone()
    }

    #[tokio::test]
    async fn the_controllers_finalizers_are_removed_under_each_of_their_names_and_others_stay() {
        let server = StandIn::default();
        let all = [OTHER, finalizers::CLEANUP, finalizers::LEGACY_CLEANUP, finalizers::UNDO];
        let run = given(Mode::Cleanup, BACKUP, &all, &server);
        remove(&run, Known::Fresh, &server.client()).await.unwrap();
        assert_eq!(stored(BACKUP, &server), json!([OTHER]));
    }

    #[tokio::test]
    async fn the_finalizer_of_undoing_is_removed_alone() {
        let server = StandIn::default();
        let run = given(Mode::Restore, RESTORE_JOB, &[finalizers::CLEANUP, finalizers::UNDO, OTHER], &server);
        remove_undo(&run, Known::Fresh, &server.client()).await.unwrap();
        assert_eq!(stored(RESTORE_JOB, &server), json!([finalizers::CLEANUP, OTHER]));
    }

    #[tokio::test]
    async fn nothing_is_removed_where_nothing_is_the_runs() {
        let server = StandIn::default();
        let run = given(Mode::Backup, BACKUP_JOB, &[OTHER], &server);
        remove(&run, Known::Fresh, &server.client()).await.unwrap();

        let another = json!({"metadata": {"uid": "another", "finalizers": [finalizers::UNDO]}});
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &another, &server));
        remove(&run, Known::Fresh, &server.client()).await.unwrap();
        assert_eq!(stored(BACKUP_JOB, &server), json!([finalizers::UNDO]), "it is another run's");

        server.remove(BACKUP_JOB);
        remove(&run, Known::Fresh, &server.client()).await.unwrap();
        assert_eq!(server.calls(), ["GET backupjobs/nightly"; 3]);
    }

    #[tokio::test]
    async fn finalizers_that_have_changed_are_read_and_a_change_after_that_is_a_conflict() {
        let more = json!({"metadata": {"finalizers": [finalizers::UNDO, OTHER]}});
        let given = || {
            let server = StandIn::default();
            let run = given(Mode::Backup, BACKUP_JOB, &[finalizers::UNDO], &server);
            let changed = changed(BACKUP_JOB, &more, &server);
            (server, run, Fault::Overtaken(BACKUP_JOB.to_owned(), changed))
        };
        let (server, run, change) = given();
        server.fault(0, change);
        remove(&run, Known::Fresh, &server.client()).await.unwrap();
        assert_eq!(stored(BACKUP_JOB, &server), json!([OTHER]));
        assert_eq!(server.calls().len(), 3);

        let (server, run, change) = given();
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &label, &server));
        server.fault(2, change);
        assert_eq!(remove(&run, Known::Fresh, &server.client()).await.unwrap_err().class(), Class::Conflict);
        assert_eq!(stored(BACKUP_JOB, &server), json!([finalizers::UNDO, OTHER]));
    }

    #[tokio::test]
    async fn the_finalizers_of_a_run_that_has_not_changed_are_not_read_first() {
        let server = StandIn::default();
        let run = given(Mode::Backup, BACKUP_JOB, &[finalizers::UNDO, OTHER], &server);
        remove_undo(&run, Known::Fresh, &server.client()).await.unwrap();
        assert_eq!(stored(BACKUP_JOB, &server), json!([OTHER]));
        assert_eq!(server.calls(), ["PATCH backupjobs/nightly"]);

        remove_undo(&run, Known::Seen, &server.client()).await.unwrap();
        assert_eq!(server.calls(), ["GET backupjobs/nightly"], "a watch that is behind costs no conflict");
    }

    #[tokio::test]
    async fn the_finalizer_of_undoing_is_added_once_beside_the_others() {
        let server = StandIn::default();
        let run = given(Mode::Restore, RESTORE_JOB, &[OTHER], &server);
        let version = mark_begun(&run, true, &server.client()).await.unwrap();
        let held = shown_run(Mode::Restore, &server);
        assert_eq!(held.finalizers, [OTHER, finalizers::UNDO]);
        assert_eq!(held.resource_version, version);
        assert!(held.marks.begun);

        server.sent();
        assert_eq!(mark_begun(&held, true, &server.client()).await.unwrap(), version);
        assert_eq!(server.calls(), [""; 0]);
    }

    #[tokio::test]
    async fn a_run_without_anything_to_undo_is_marked_as_begun_alone() {
        let server = StandIn::default();
        let run = given(Mode::Backup, BACKUP_JOB, &[OTHER], &server);
        mark_begun(&run, false, &server.client()).await.unwrap();
        let metadata = server.get(BACKUP_JOB).unwrap()["metadata"].clone();
        assert_eq!(metadata["annotations"], json!({"backstay.dev/begun": "nightly/run-1"}));
        assert_eq!(metadata["finalizers"], json!([OTHER]));
    }

    #[tokio::test]
    async fn no_finalizer_is_added_to_a_run_that_has_changed_since_it_was_seen() {
        let server = StandIn::default();
        let run = given(Mode::Backup, BACKUP_JOB, &[], &server);
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &json!({"status": {"phase": "Failed"}}), &server));
        let error = mark_begun(&run, true, &server.client()).await.unwrap_err();
        assert_eq!(error.class(), Class::Conflict);
        assert_eq!(stored(BACKUP_JOB, &server), json!([]));
    }

    #[tokio::test]
    async fn a_backup_is_held_once_beside_the_finalizers_of_others() {
        let server = StandIn::default();
        given(Mode::Cleanup, BACKUP, &[OTHER], &server);
        let backup: Backup = serde_json::from_value(server.get(BACKUP).unwrap()).unwrap();
        hold(&backup, &server.client()).await.unwrap();
        assert_eq!(stored(BACKUP, &server), json!([OTHER, finalizers::CLEANUP]));

        server.sent();
        let backup: Backup = serde_json::from_value(server.get(BACKUP).unwrap()).unwrap();
        hold(&backup, &server.client()).await.unwrap();
        assert_eq!(server.calls(), [""; 0], "it is held already");
    }

    #[tokio::test]
    async fn a_backup_is_let_go_but_for_the_finalizers_of_others_and_those_of_the_go_implementation() {
        let server = StandIn::default();
        given(Mode::Cleanup, BACKUP, &[OTHER, finalizers::CLEANUP, finalizers::LEGACY_CLEANUP], &server);
        for _ in 0..2 {
            let backup: Backup = serde_json::from_value(server.get(BACKUP).unwrap()).unwrap();
            let_go(&backup, &server.client()).await.unwrap();
            assert_eq!(stored(BACKUP, &server), json!([OTHER, finalizers::LEGACY_CLEANUP]));
        }
        assert_eq!(server.calls(), ["PATCH backups/nightly"]);
    }
}
