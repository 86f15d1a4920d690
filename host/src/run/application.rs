//! The application that a run acts on: how the API server serves its kind, and the object itself.

use backstay_api::TypedRef;
use backstay_api::conditions::reasons;
use backstay_core::application_kind::{can_restore_into, is_application};
use backstay_core::contract::{Access, GroupKind, Json, Mode, ObjectRef, Scope, Verbs};
use backstay_engine::Component;

use super::not_done::NotDone;
use crate::cluster::Cluster;
use crate::cluster::discovery::Kind;
use crate::cluster::error::ApiError;
use crate::state::run::Run;

/// Returns how the API server serves the kind of `application`; `None` if it does not.
async fn find(application: &TypedRef, cluster: &Cluster) -> Result<Option<Kind>, ApiError> {
    let found = cluster.discovery.kind(&cluster.client, application).await;
    found.map_err(|e| {
        ApiError::new(format!("looking up how kind {} is served", GroupKind::from(application)), e)
    })
}

/// Checks that a kind is one of applications.
///
/// # Errors
/// The run fails.
pub(crate) fn check_application(run: &Run, application: &TypedRef) -> Result<(), NotDone> {
    let kind = GroupKind::from(application);
    if is_application(&kind) {
        return Ok(());
    }
    let field = match run.mode {
        Mode::Restore => "spec.targetApplicationRef of a new RestoreJob",
        _ => "spec.applicationRef of a new BackupJob",
    };
    let message = format!(
        "{kind} is no kind of applications: the controller reads objects of that group for its own work only; name an application in {field}"
    );
    Err(NotDone::failed(reasons::APPLICATION_MISMATCH, message))
}

/// Checks that a Backup of `source` can be restored into `target`.
///
/// # Errors
/// The run fails.
pub(crate) fn check_target(
    target: &TypedRef,
    source: &TypedRef,
    kind: &GroupKind,
    component: &Component,
) -> Result<(), NotDone> {
    let able = component.descriptor().serves(kind).map(|k| k.applications.as_slice()).unwrap_or_default();
    let (target, source) = (GroupKind::from(target), GroupKind::from(source));
    if can_restore_into(&target, &source, able) {
        return Ok(());
    }
    let message = format!(
        "a Backup of an application of kind {source} cannot be restored into one of kind {target}; name an application of kind {source} in spec.targetApplicationRef of a new RestoreJob"
    );
    Err(NotDone::failed(reasons::APPLICATION_MISMATCH, message))
}

/// Returns how the API server serves the kind of the run's application.
///
/// # Errors
/// The API server's; the run fails if the kind is not served, or is none of applications.
async fn served(run: &Run, application: &TypedRef, cluster: &Cluster) -> Result<Kind, NotDone> {
    check_application(run, application)?;
    find(application, cluster).await?.ok_or_else(|| not_found(run, application))
}

/// Returns the application as it is now, without `managedFields`: templates do not see them.
///
/// # Errors
/// The API server's; the run fails if the application does not exist.
pub(crate) async fn read(run: &Run, application: &TypedRef, cluster: &Cluster) -> Result<Json, NotDone> {
    let kind = served(run, application, cluster).await?;
    let found = kind.api(&cluster.client, run.namespace()).get_opt(&application.name).await;
    let doing = || format!("reading {} \"{}/{}\"", application.kind, run.namespace(), application.name);
    let Some(mut object) = found.map_err(|e| ApiError::new(doing(), e))? else {
        return Err(not_found(run, application));
    };
    object.metadata.managed_fields = None;
    object.types.get_or_insert(kube::core::TypeMeta {
        api_version: kind.resource.api_version.clone(),
        kind: kind.resource.kind.clone(),
    });
    serde_json::to_value(&object).map_err(|e| NotDone::failed(reasons::APPLICATION_NOT_FOUND, e.to_string()))
}

/// Returns the access by which every component may read the application of its run.
///
/// # Errors
/// As [`served`].
pub(crate) async fn access(run: &Run, application: &TypedRef, cluster: &Cluster) -> Result<Access, NotDone> {
    let Kind { resource, .. } = served(run, application, cluster).await?;
    Ok(Access {
        group: resource.group,
        version: resource.version,
        kind: resource.kind,
        plural: resource.plural,
        scope: Scope::Run,
        verbs: Verbs { get: true, ..Verbs::default() },
        fields: Vec::new(),
        guards: Vec::new(),
    })
}

/// Returns the application as a component is told of it, if the component can act on its kind.
///
/// # Errors
/// The API server's; the run fails if the kind is not served, or the component cannot act on it.
pub(crate) async fn reference(
    run: &Run,
    application: &TypedRef,
    kind: &GroupKind,
    component: &Component,
    cluster: &Cluster,
) -> Result<ObjectRef, NotDone> {
    if run.mode != Mode::Cleanup {
        check_application(run, application)?;
    }
    check_kind(application, kind, component)?;
    let reference = |api_version: &str, namespaced: bool| ObjectRef {
        api_version: api_version.to_owned(),
        kind: application.kind.clone(),
        namespace: namespaced.then(|| run.namespace().to_owned()),
        name: application.name.clone(),
    };
    match find(application, cluster).await? {
        Some(served) => Ok(reference(&served.resource.api_version, served.namespaced)),
        // A Backup can be cleaned up after its application's kind is gone.
        None if run.mode == Mode::Cleanup => Ok(reference(application.group(), true)),
        None => Err(not_found(run, application)),
    }
}

/// Checks that strategies of `kind` can act on the application.
///
/// # Errors
/// The run fails.
pub(crate) fn check_kind(
    application: &TypedRef,
    kind: &GroupKind,
    component: &Component,
) -> Result<(), NotDone> {
    let able = component.descriptor().serves(kind).map(|k| k.applications.as_slice()).unwrap_or_default();
    let wanted = GroupKind::from(application);
    if able.is_empty() || able.contains(&wanted) {
        return Ok(());
    }
    let able: Vec<_> = able.iter().map(ToString::to_string).collect();
    let message = format!(
        "{} strategies cannot act on an application of kind {wanted}; they act on: {}",
        kind.kind,
        able.join(", ")
    );
    Err(NotDone::failed(reasons::APPLICATION_MISMATCH, message))
}

fn not_found(run: &Run, application: &TypedRef) -> NotDone {
    let (what, remedy) = match run.mode {
        Mode::Restore => ("target application", "; deploy it before requesting a restore)"),
        _ => ("application", "); deploy it, or name another in spec.applicationRef of a new BackupJob"),
    };
    let message = format!(
        "{what} not found or kind not registered: {}/{} (kind={:?}{remedy}",
        run.namespace(),
        application.name,
        application.kind
    );
    NotDone::failed(reasons::APPLICATION_NOT_FOUND, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::discovery::Discovery;
    use crate::cluster::discovery::tests::serve_postgres;
    use crate::cluster::events::events;
    use crate::cluster::impersonation::Impersonation;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::state::run::tests::{begun, stored_run};

    const ORDERS: &str = "/apis/apps.cozystack.io/v1/namespaces/tenant-a/postgreses/orders";

    fn cluster(server: &StandIn) -> Cluster {
        let client = server.client();
        Cluster {
            discovery: Discovery::default(),
            impersonation: Impersonation::new(client.clone(), "backstay-system").into(),
            events: events(client.clone()).0,
            client,
        }
    }

    fn orders() -> TypedRef {
        serde_json::from_value(json!({"apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders"}))
            .unwrap()
    }

    #[tokio::test]
    async fn an_application_is_read_with_its_kind_and_without_managed_fields() {
        let server = StandIn::default();
        serve_postgres(&server);
        let managed = json!([{"manager": "kubectl"}]);
        server.put(
            ORDERS,
            json!({"metadata": {"name": "orders", "namespace": "tenant-a", "managedFields": managed},
            "spec": {"size": 3}}),
        );
        let run = stored_run(Mode::Backup, begun(100), &server);
        let object = read(&run, &orders(), &cluster(&server)).await.unwrap();
        assert_eq!(
            (&object["kind"], &object["apiVersion"]),
            (&json!("Postgres"), &json!("apps.cozystack.io/v1"))
        );
        assert_eq!(object["spec"], json!({"size": 3}));
        assert_eq!(object["metadata"].get("managedFields"), None);
    }

    #[tokio::test]
    async fn an_application_that_is_missing_or_of_an_unserved_kind_fails_the_run_with_what_to_do() {
        for (mode, remedy) in
            [(Mode::Backup, "of a new BackupJob"), (Mode::Restore, "before requesting a restore)")]
        {
            for served in [true, false] {
                let server = StandIn::default();
                server.put("/apis", json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}));
                if served {
                    serve_postgres(&server);
                }
                let run = stored_run(mode, begun(100), &server);
                let Err(NotDone::Failed { reason, message }) = read(&run, &orders(), &cluster(&server)).await
                else {
                    panic!("it is found")
                };
                assert_eq!(reason, "ApplicationNotFound");
                assert!(message.contains("tenant-a/orders") && message.ends_with(remedy), "{message}");
            }
        }
    }

    #[tokio::test]
    async fn an_object_that_the_controller_reads_for_its_own_work_is_never_read_as_an_application() {
        for (group, kind) in [("strategy.backups.cozystack.io", "Job"), ("batch", "Job")] {
            let server = StandIn::default();
            let run = stored_run(Mode::Restore, begun(100), &server);
            let named = TypedRef { api_group: Some(group.into()), kind: kind.into(), name: "x".into() };
            let Err(NotDone::Failed { reason, message }) = read(&run, &named, &cluster(&server)).await else {
                panic!("it is read")
            };
            assert_eq!(reason, "ApplicationMismatch");
            assert!(message.contains("name an application in spec.targetApplicationRef"), "{message}");
            assert_eq!(server.calls(), [""; 0]);
        }
    }

    #[tokio::test]
    async fn an_application_that_cannot_be_looked_up_is_not_taken_for_missing() {
        let server = StandIn::default();
        serve_postgres(&server);
        let run = stored_run(Mode::Backup, begun(100), &server);
        for call in [0, 3] {
            server.fault(call, Fault::Answer(503, "ServiceUnavailable"));
            let read = read(&run, &orders(), &cluster(&server)).await;
            assert!(matches!(read, Err(NotDone::Api(_))), "call {call}: {read:?}");
        }
    }

    #[tokio::test]
    async fn a_component_may_get_the_application_of_its_run_and_nothing_else() {
        let server = StandIn::default();
        serve_postgres(&server);
        let run = stored_run(Mode::Backup, begun(100), &server);
        let access = access(&run, &orders(), &cluster(&server)).await.unwrap();
        assert_eq!((access.plural.as_str(), &access.scope), ("postgreses", &Scope::Run));
        assert_eq!(access.verbs, Verbs { get: true, ..Verbs::default() });
    }
}
