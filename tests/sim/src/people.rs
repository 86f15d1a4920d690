//! What people do: tenants, administrators, and whoever deletes what is not theirs.

use devcluster::client::{Client as _, Refused, items, text};
use serde_json::{Value, json};

use crate::base::{Admin, ROLES, application, applications, binding, bindings, strategy};
use crate::plan::{App, Class, Deed};
use crate::trace::Trace;

const BACKUPS: &str = "/apis/backups.cozystack.io/v1alpha1";

/// Returns the path of a kind of ours in a namespace.
pub(crate) fn ours(namespace: &str, plural: &str) -> String {
    format!("{BACKUPS}/namespaces/{namespace}/{plural}")
}

/// Returns the objects of a kind of ours, everywhere.
pub(crate) async fn all(admin: &Admin, plural: &str) -> Vec<Value> {
    listed(admin, &format!("{BACKUPS}/{plural}")).await
}

/// Returns the objects at a path.
pub(crate) async fn listed(admin: &Admin, path: &str) -> Vec<Value> {
    let list = admin.get(path).await.unwrap_or_else(|refused| panic!("{path}: {refused}"));
    items(&list, "/items").to_vec()
}

/// Returns a BackupJob.
pub(crate) fn backup_job(name: &str, app: App, class: Class) -> Value {
    json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob", "metadata": {"name": name},
        "spec": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": app.name()},
            "backupClassName": class.name()}})
}

/// Does a deed on the API server; what is refused is told in the trace, and is no fault.
pub(crate) async fn does(admin: &Admin, number: usize, deed: &Deed, trace: &Trace) {
    match act(admin, number, deed).await {
        Ok(()) => {}
        Err(refused) => trace.tell(format_args!("a{number} refused: {refused}")),
    }
}

async fn act(admin: &Admin, number: usize, deed: &Deed) -> Result<(), Refused> {
    match deed {
        Deed::Backup { app, class } => {
            let job = backup_job(&format!("run-{number}"), *app, *class);
            admin.create(&ours(&app.namespace(), "backupjobs"), job).await?;
        }
        Deed::Restore { app, pick } => {
            let backups = listed(admin, &ours(&app.namespace(), "backups")).await;
            let Some(backup) = picked(&backups, *pick) else { return Ok(()) };
            let target = json!({"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": app.name()});
            let job = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "RestoreJob",
                "metadata": {"name": format!("back-{number}")},
                "spec": {"backupRef": {"name": text(backup, "/metadata/name")}, "targetApplicationRef": target}});
            admin.create(&ours(&app.namespace(), "restorejobs"), job).await?;
        }
        Deed::DeleteRun { pick, orphan } => {
            let mut runs = all(admin, "backupjobs").await;
            runs.extend(all(admin, "restorejobs").await);
            let Some(run) = picked(&runs, *pick) else { return Ok(()) };
            let plural = if text(run, "/kind") == "RestoreJob" { "restorejobs" } else { "backupjobs" };
            delete(admin, &ours(text(run, "/metadata/namespace"), plural), run, *orphan).await?;
        }
        Deed::DeleteBackup { pick } => {
            let backups = all(admin, "backups").await;
            let Some(backup) = picked(&backups, *pick) else { return Ok(()) };
            delete(admin, &ours(text(backup, "/metadata/namespace"), "backups"), backup, false).await?;
        }
        Deed::DeleteJob { pick } => {
            let jobs = listed(admin, "/apis/batch/v1/jobs").await;
            let Some(job) = picked(&jobs, *pick) else { return Ok(()) };
            let path = format!("/apis/batch/v1/namespaces/{}/jobs", text(job, "/metadata/namespace"));
            delete(admin, &path, job, false).await?;
        }
        Deed::DeletePod { pick } => {
            let pods = listed(admin, "/api/v1/pods").await;
            let Some(pod) = picked(&pods, *pick) else { return Ok(()) };
            let path = format!("/api/v1/namespaces/{}/pods", text(pod, "/metadata/namespace"));
            delete(admin, &path, pod, false).await?;
        }
        Deed::Application { app, there: true } => {
            admin.create(&applications(&app.namespace()), application(*app)).await?;
        }
        Deed::Application { app, there: false } => {
            let path = format!("{}/{}", applications(&app.namespace()), app.name());
            admin.delete(&path, json!({})).await?;
        }
        Deed::Flag { tenant, up } => {
            let namespace = App { tenant: *tenant, number: 0 }.namespace();
            let data = json!({"data": {"ready": if *up { "yes" } else { "no" }}});
            admin.merge(&format!("/api/v1/namespaces/{namespace}/configmaps/flag"), data).await?;
        }
        Deed::Strategy { class: Class::Missing, .. } => {}
        Deed::Strategy { class, version } => {
            let (path, object) = strategy(*class, *version);
            let spec = json!({"spec": object["spec"]});
            admin.merge(&format!("{path}/{}", class.name()), spec).await?;
        }
        Deed::Plan { app, minutes, suspended } => {
            let cron = if *minutes == 1 { "* * * * *".to_owned() } else { format!("@every {minutes}m") };
            let path = ours(&app.namespace(), "plans");
            let spec = json!({"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": app.name()},
                "backupClassName": Class::Job.name(), "suspend": suspended,
                "schedule": {"type": "cron", "cron": cron}});
            let plan = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Plan",
                "metadata": {"name": app.name()}, "spec": spec});
            match admin.create(&path, plan).await {
                Err(refused) if refused.is_conflict() => {
                    admin.merge(&format!("{path}/{}", app.name()), json!({"spec": spec})).await?;
                }
                made => drop(made?),
            }
        }
        Deed::DeletePlan { app } => {
            let path = format!("{}/{}", ours(&app.namespace(), "plans"), app.name());
            admin.delete(&path, json!({"propagationPolicy": "Orphan"})).await?;
        }
        Deed::Rights { tenant, granted } => {
            let path = bindings(&App { tenant: *tenant, number: 0 }.namespace());
            for role in ROLES {
                if *granted {
                    admin.create(&path, binding(role)).await?;
                } else {
                    admin.delete(&format!("{path}/{role}"), json!({})).await?;
                }
            }
        }
        Deed::Kill { .. } | Deed::Stop { .. } | Deed::Clock { .. } | Deed::Outage { .. } => {}
    }
    Ok(())
}

fn picked(of: &[Value], pick: u32) -> Option<&Value> {
    if of.is_empty() { None } else { of.get(usize::try_from(pick).unwrap_or(0) % of.len()) }
}

async fn delete(admin: &Admin, path: &str, object: &Value, orphan: bool) -> Result<(), Refused> {
    let policy = if orphan { "Orphan" } else { "Background" };
    let path = format!("{path}/{}", text(object, "/metadata/name"));
    admin.delete(&path, json!({"propagationPolicy": policy})).await.map(drop)
}
