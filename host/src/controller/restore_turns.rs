//! Restores the locks of runs that have ended and may still have pods, when the controller starts.

use std::collections::HashMap;

use backstay_core::job::TurnNote;
use kube::runtime::reflector::ObjectRef;

use crate::context::Context;

/// Restores the locks of runs that have ended, or whose objects are gone, and of which a Job or a pod may still run. `living` has
/// the namespaces of all runs that have not ended, by uid.
pub(super) fn restore_turns(living: &HashMap<String, String>, ctx: &Context) {
    for ((namespace, run_uid), names) in ctx.stores.unfinished.all() {
        // Labels are written by tenants: one that names the run of another namespace means nothing.
        let of_backup = || ctx.stores.backups.namespace_of(&run_uid);
        let of_run = living.get(&run_uid).cloned().or_else(of_backup);
        let foreign = of_run.is_some_and(|of_run| of_run != namespace);
        // A clean-up goes on, and gets its lock when its Backup has been read.
        let goes_on = ctx.state.locks.held_in(&run_uid).is_some() || ctx.state.locks.is_unplaced(&run_uid);
        if foreign || goes_on {
            continue;
        }
        let pod = |name: &String| ctx.stores.pods.get(&ObjectRef::new(name).within(&namespace));
        let of_job = |name: &String| TurnNote::of(&ctx.stores.job(&namespace, name)?.metadata);
        let of_pod = |name: &String| TurnNote::of(&pod(name)?.metadata);
        let note = names.jobs.iter().find_map(of_job).or_else(|| names.pods.iter().find_map(of_pod));
        if let Some(note) = note {
            tracing::info!(%namespace, run_uid, "pods of an ended run may run, its turn goes on");
            ctx.state.locks.restore_from(note, &namespace, &run_uid);
            ctx.drain(&run_uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::api::core::v1::Pod;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::settings::Settings;

    /// The metadata of a Job or pod of the run `u`.
    fn of_run(name: &str) -> Value {
        let application = json!({"group": "apps.cozystack.io", "kind": "Redis"});
        let turn = json!({"application": application, "name": "cache", "mode": "backup", "run": "nightly",
            "strategy": {"group": "strategy.backups.cozystack.io", "kind": "Job"}});
        json!({"name": name, "namespace": "tenant-a", "labels": {"backstay.dev/run-uid": "u"},
            "annotations": {"backstay.dev/turn": turn.to_string()}})
    }

    /// Returns whether the lock of the run `u` is kept by a controller that starts and sees these Jobs and pods.
    fn kept(jobs: &[Value], pods: &[Value], living: &[(&str, &str)]) -> bool {
        let server = StandIn::default();
        let (ctx, mut writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        for job in jobs {
            let job: Job = serde_json::from_value(job.clone()).expect("a Job");
            ctx.stores.unfinished.job(&job);
            writers.jobs.apply_watcher_event(&Event::Apply(job));
        }
        for pod in pods {
            let pod: Pod = serde_json::from_value(pod.clone()).expect("a pod");
            ctx.stores.unfinished.pod(&pod);
            writers.pods.apply_watcher_event(&Event::Apply(pod));
        }
        let living = living.iter().map(|(uid, of)| ((*uid).to_owned(), (*of).to_owned())).collect();
        restore_turns(&living, &ctx);
        let kept = ctx.state.locks.held_in("u").is_some();
        assert_eq!(ctx.state.draining.contains("u"), kept);
        kept
    }

    #[tokio::test]
    async fn f20_after_a_restart_a_job_or_a_pod_keeps_the_lock_of_its_run_whose_object_is_gone() {
        let job = |status: Value| json!({"metadata": of_run("j"), "status": status});
        let pod = |phase: &str| json!({"metadata": of_run("p"), "status": {"phase": phase}});
        let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        assert!(kept(&[job(json!({}))], &[], &[]));
        assert!(kept(&[], &[pod("Running")], &[]));
        assert!(kept(&[job(complete.clone())], &[pod("Pending")], &[]));
        assert!(!kept(&[job(complete)], &[pod("Failed")], &[]));
        let unmarked = json!({"metadata": {"name": "p", "namespace": "tenant-a", "labels": {"backstay.dev/run-uid": "u"}}});
        assert!(!kept(&[], &[unmarked], &[]), "nobody knows what it works on");
    }

    #[tokio::test]
    async fn f20_a_label_with_the_uid_of_another_namespaces_run_keeps_no_lock() {
        let pod = json!({"metadata": of_run("p"), "status": {"phase": "Running"}});
        assert!(!kept(&[], std::slice::from_ref(&pod), &[("u", "tenant-b")]));
        assert!(kept(&[], &[pod], &[("u", "tenant-a")]));
    }
}
