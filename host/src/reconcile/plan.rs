//! The reconciler of Plans: fires the slots of a schedule, and records the outcome of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::{reasons, types};
use backstay_api::{
    API_VERSION, BackupJob, BackupJobSpec, LocalRef, Plan, PlanStatus, TypedRef, annotations,
};
use backstay_core::owner::controller;
use backstay_core::plan::{FireResult, PlanState, PlanVerdict, PlanView, Recorded, Slot, decide, fired};
use backstay_core::restored_run::made_mark;
use backstay_core::retry::{self, Class};
use backstay_core::status::set_condition;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Resource, ResourceExt};

use crate::cluster::api::Api;
use crate::cluster::error::{ApiError, chain, class, is_bad_request};
use crate::cluster::write::{Created, create_or_get, patch_status, post_params};
use crate::cluster::written::schedule_written;
use crate::context::Context;
use crate::state::work_queue::Action;

/// How often a Plan is looked at whose status is not kept.
const CRDS_RECHECK: SignedDuration = SignedDuration::from_secs(30);

/// Reconciles a Plan once: fires the slot that is due, records the outcome, and requeues the Plan for the next slot.
pub async fn reconcile(seen: Arc<Plan>, ctx: Arc<Context>) -> Action {
    let uid = seen.uid().unwrap_or_default();
    if seen.metadata.deletion_timestamp.is_some() {
        ctx.state.open_slots.forget(&uid);
        return Action::await_change();
    }
    match handle(&seen, &ctx).await {
        Ok(wake_at) => {
            ctx.state.runs.forget(&uid);
            ctx.state.open_slots.forget(&uid);
            wake(wake_at, &ctx)
        }
        // A change of the Plan enqueues it.
        Err(error) if error.is_undecodable() => {
            ctx.report_unreadable(seen.object_ref(&()), &chain(&error));
            Action::await_change()
        }
        Err(error) => {
            let attempt = ctx.state.runs.failed(&uid);
            tracing::warn!(plan = %title(&seen), attempt, error = %chain(&error), "plan not handled, will try again");
            Action::requeue(retry::backoff(attempt))
        }
    }
}

fn wake(at: Option<Timestamp>, ctx: &Context) -> Action {
    let Some(at) = at else { return Action::await_change() };
    // A reconcile that is early by a rounding error would find no slot due.
    let delay = Duration::try_from(at.duration_since(ctx.clock.now())).unwrap_or_default();
    Action::requeue(delay + Duration::from_millis(5))
}

async fn handle(seen: &Plan, ctx: &Arc<Context>) -> Result<Option<Timestamp>, ApiError> {
    // Firing a slot twice is harmless, recording it twice is not: the status must be the newest.
    let namespace = seen.namespace().unwrap_or_default();
    let api = Api::<Plan>::namespaced(ctx.cluster.client.clone(), &namespace);
    let found = api.get_opt(&seen.name_any()).await;
    let Some(plan) = found.map_err(|e| reading(seen, e))? else {
        return Ok(None);
    };
    if plan.uid() != seen.uid() || plan.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let now = ctx.clock.now();
    let old = plan.status.clone().unwrap_or_default();
    let mut status = old.clone();
    status.observed_generation = plan.metadata.generation;
    let state = PlanState::from(&old);
    let (none, name) = (BTreeSet::new(), plan.name_any());
    let refused = ctx.state.open_slots.last_refused(plan.metadata.uid.as_deref().unwrap_or_default());
    let view = PlanView {
        name: &name,
        created: plan.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0),
        cron: plan.spec.schedule.cron.as_deref().unwrap_or_default(),
        time_zone: plan.spec.time_zone.as_deref(),
        starting_deadline_seconds: plan.spec.starting_deadline_seconds,
        suspend: plan.spec.suspend.unwrap_or_default(),
        changed_at: None,
        runs: &none,
        refused: refused.as_ref().map(|(slot, why)| (*slot, why.as_str())),
        state: &state,
    };
    if let Some(complaint) = ctx.kept_fields.complaint(&["Plan"]) {
        // Without its last slot on record the Plan would count its slots anew each time.
        conditions(&mut status, &plan, false, reasons::CRDS_OUTDATED, &complaint, now);
        write(&api, &plan, &old, &status).await?;
        return Ok(Some(now.saturating_add(CRDS_RECHECK).unwrap_or(now)));
    }
    let changed_at = match view.is_rescheduled() {
        true => schedule_written(&api, view.name).await.map_err(|e| reading(&plan, e))?,
        false => None,
    };
    let view = PlanView { changed_at, ..view };
    let mut verdict = decide(&view, now);
    let runs;
    if verdict.leaves_slots_unfired() {
        // Which of them have fired after all is asked now: the watch does not show runs that have ended.
        runs = runs_of(&plan, ctx).await?;
        verdict = decide(&PlanView { runs: &runs, ..view.clone() }, now);
    }
    let (state, recorded, wake_at) = match verdict {
        PlanVerdict::Invalid { reason, message, state, recorded } => {
            if condition_reason(&old) != Some(reason) {
                ctx.cluster.events.warning(plan.object_ref(&()), reason, &message);
            }
            conditions(&mut status, &plan, false, reason, &message, now);
            (state, recorded, None)
        }
        PlanVerdict::Scheduled { state, recorded, fire, wake_at, .. } => {
            let (reason, message) = if view.suspend {
                (reasons::SUSPENDED, "the Plan is suspended")
            } else {
                (reasons::SCHEDULE_VALID, "the schedule is valid")
            };
            conditions(&mut status, &plan, true, reason, message, now);
            let state = match fire {
                Some(slot) => fire_slot(&plan, &slot, &state, ctx).await?,
                None => state,
            };
            (state, recorded, wake_at)
        }
    };
    state.apply_to(&mut status);
    write(&api, &plan, &old, &status).await?;
    note(&plan, &recorded, ctx);
    Ok(wake_at)
}

async fn write(api: &Api<Plan>, plan: &Plan, old: &PlanStatus, wanted: &PlanStatus) -> Result<(), ApiError> {
    let version = plan.resource_version();
    let written = patch_status(api, &plan.name_any(), version.as_deref(), old, wanted).await;
    written.map(drop).map_err(|e| ApiError::new(format!("writing the status of {}", title(plan)), e))
}

/// Creates the BackupJob of a slot. Its name is that of the slot, so there is only one.
async fn fire_slot(
    plan: &Plan,
    slot: &Slot,
    state: &PlanState,
    ctx: &Arc<Context>,
) -> Result<PlanState, ApiError> {
    let namespace = plan.namespace().unwrap_or_default();
    let api = Api::<BackupJob>::namespaced(ctx.cluster.client.clone(), &namespace);
    let job = backup_job(plan, slot, &namespace, ctx.clock.now());
    let about = plan.object_ref(&());
    let uid = plan.metadata.uid.as_deref().unwrap_or_default();
    if ctx.state.open_slots.has_fired(uid, &slot.name) {
        return Ok(fired(state, slot, FireResult::AlreadyOurs));
    }
    let created = create_or_get(api.create(&post_params(), &job), || api.get_opt(&slot.name)).await;
    let result = match created {
        Ok(Created::New(_)) => FireResult::Created,
        Ok(Created::Existing(existing)) => match controller(existing.meta()) {
            Some(owner) if Some(owner.uid.as_str()) == plan.uid().as_deref() => FireResult::AlreadyOurs,
            Some(owner) => FireResult::NameTaken { by: format!("{} {:?}", owner.kind, owner.name) },
            None => FireResult::NameTaken { by: "nobody".to_owned() },
        },
        Err(error) => {
            let transient = class(&error) == Class::AlreadyExists;
            let error = ApiError::new(format!("creating BackupJob \"{namespace}/{}\"", slot.name), error);
            if !transient {
                ctx.cluster.events.warning(about, reasons::WAITING_FOR_API, &chain(&error));
                ctx.state.open_slots.refused(uid, slot.at, error.user_message());
            }
            return Err(error);
        }
    };
    match &result {
        FireResult::Created => {
            ctx.state.open_slots.fired(uid, &slot.name);
            ctx.metrics.slot("Fired");
            ctx.cluster.events.normal(about, "Fired", &format!("created BackupJob {:?}", slot.name));
            tracing::info!(plan = %title(plan), backup_job = %slot.name, delay_s = slot.delay.as_secs_f64(), "plan fired");
        }
        FireResult::AlreadyOurs => {}
        FireResult::NameTaken { by } => {
            ctx.metrics.slot("Missed");
            let note = format!("BackupJob {:?} of this slot exists and belongs to {by}", slot.name);
            ctx.cluster.events.warning(about, reasons::NAME_TAKEN, &note);
        }
    }
    Ok(fired(state, slot, result))
}

fn backup_job(plan: &Plan, slot: &Slot, namespace: &str, now: Timestamp) -> BackupJob {
    let application = &plan.spec.application_ref;
    BackupJob {
        metadata: ObjectMeta {
            name: Some(slot.name.clone()),
            namespace: Some(namespace.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: API_VERSION.to_owned(),
                kind: "Plan".to_owned(),
                name: plan.name_any(),
                uid: plan.uid().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            annotations: Some([(annotations::MADE_AT.to_owned(), made_mark(&slot.name, now))].into()),
            ..ObjectMeta::default()
        },
        spec: BackupJobSpec {
            plan_ref: Some(LocalRef::new(plan.name_any())),
            application_ref: TypedRef {
                api_group: Some(application.group().to_owned()),
                kind: application.kind.clone(),
                name: application.name.clone(),
            },
            backup_class_name: plan.spec.backup_class_name.clone(),
        },
        status: None,
    }
}

/// Returns the names of the BackupJobs that a Plan has made.
async fn runs_of(plan: &Plan, ctx: &Context) -> Result<BTreeSet<String>, ApiError> {
    let namespace = plan.namespace().unwrap_or_default();
    let api = Api::<PartialObjectMeta<BackupJob>>::namespaced(ctx.cluster.client.clone(), &namespace);
    let of_plan = ListParams::default().fields(&format!("spec.planRef.name={}", plan.name_any()));
    let listed = match listed(plan, &api, &of_plan).await {
        // The CRD does not declare the field: it is the Go implementation's, or Kubernetes is older than 1.31.
        Err(error) if is_bad_request(&error) => listed(plan, &api, &ListParams::default()).await,
        listed => listed,
    };
    listed.map_err(|e| ApiError::new(format!("listing the BackupJobs of {}", title(plan)), e))
}

async fn listed(
    plan: &Plan,
    api: &Api<PartialObjectMeta<BackupJob>>,
    params: &ListParams,
) -> Result<BTreeSet<String>, kube::Error> {
    let mut names = BTreeSet::new();
    // One that does not decode is somebody else's.
    let each = |job: PartialObjectMeta<BackupJob>| {
        let owner = controller(&job.metadata);
        let is_own = owner.is_some_and(|owner| Some(&owner.uid) == plan.metadata.uid.as_ref());
        names.extend(job.metadata.name.filter(|_| is_own));
    };
    api.each(params, each).await?;
    Ok(names)
}

fn reading(plan: &Plan, error: kube::Error) -> ApiError {
    ApiError::new(format!("reading {}", title(plan)), error)
}

fn condition_reason(status: &PlanStatus) -> Option<&str> {
    status.conditions.iter().find(|c| c.type_ == types::READY).map(|c| c.reason.as_str())
}

/// `Error` is the condition of the Go implementation, `Ready` the one that tools understand.
fn conditions(
    status: &mut PlanStatus,
    plan: &Plan,
    valid: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let generation = plan.metadata.generation;
    set_condition(&mut status.conditions, generation, types::ERROR, Some(!valid), reason, message, now);
    set_condition(&mut status.conditions, generation, types::READY, Some(valid), reason, message, now);
}

/// Counts the outcomes of slots, and posts an Event for missed ones.
fn note(plan: &Plan, recorded: &Recorded, ctx: &Context) {
    let counts = recorded.counts;
    for (outcome, count) in [("Fired", counts.fired), ("Skipped", counts.skipped), ("Missed", counts.missed)]
    {
        for _ in 0..count.min(1000) {
            ctx.metrics.slot(outcome);
        }
    }
    if counts.missed > 0 {
        let about: ObjectReference = plan.object_ref(&());
        let latest = recorded.latest.first().map(|s| s.reason.as_str()).unwrap_or_default();
        let text = format!("{} slots were missed ({latest}); see status.recent", counts.missed);
        ctx.cluster.events.warning(about, "Missed", &text);
        tracing::warn!(plan = %title(plan), missed = counts.missed, reason = latest, "slots of a plan were missed");
    }
}

fn title(plan: &Plan) -> String {
    format!("Plan \"{}/{}\"", plan.namespace().unwrap_or_default(), plan.name_any())
}

#[cfg(test)]
mod tests {
    use backstay_api::names::plan_run_name;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};

    const PLAN: &str = "/apis/backups.cozystack.io/v1alpha1/namespaces/n/plans/nightly";
    const HOUR: i64 = 3600;

    /// A Plan of every hour that was made so many hours ago, and the beginning of this hour.
    fn given(hours: i64, server: &StandIn) -> (Arc<Plan>, Arc<Context>, i64) {
        let ctx = crate::context::tests::empty(server.client());
        let hour = ctx.clock.now().as_second() / HOUR * HOUR;
        let made = Timestamp::from_second(hour - hours * HOUR + 60).expect("a time");
        let plan = json!({"apiVersion": API_VERSION, "kind": "Plan", "metadata": {"name": "nightly",
            "namespace": "n", "uid": "plan-1", "generation": 1, "creationTimestamp": made.to_string()},
            "spec": {"applicationRef": {"kind": "App", "name": "app"}, "backupClassName": "c",
                "startingDeadlineSeconds": 10, "schedule": {"cron": "0 * * * *"}}});
        server.put(PLAN, plan.clone());
        (Arc::new(serde_json::from_value(plan).expect("a Plan")), ctx, hour)
    }

    /// Stores the BackupJob of a slot, which has ended, as one of this owner's.
    fn made(slot: i64, owner: &str, server: &StandIn) -> String {
        let name = plan_run_name("nightly", slot);
        let owner = json!([{"apiVersion": API_VERSION, "kind": "Plan", "name": "nightly", "uid": owner,
            "controller": true}]);
        let path = format!("/apis/backups.cozystack.io/v1alpha1/namespaces/n/backupjobs/{name}");
        server.put(
            &path,
            json!({"metadata": {"name": name, "namespace": "n", "uid": name,
            "ownerReferences": owner}, "status": {"phase": "Succeeded"}}),
        );
        name
    }

    fn counts(server: &StandIn) -> Value {
        server.get(PLAN).expect("it is there")["status"]["counts"].clone()
    }

    #[tokio::test]
    async fn slots_of_runs_that_have_ended_have_fired_though_no_watch_shows_these_runs() {
        let server = StandIn::default();
        let (plan, ctx, hour) = given(4, &server);
        made(hour - 2 * HOUR, "plan-1", &server);
        made(hour - HOUR, "another Plan of this name", &server);
        // Within the deadline of its slot, the last one fires.
        let late = ctx.clock.now().as_second() - hour > 10;
        let _ = reconcile(plan, ctx).await;
        let missed = if late { 3 } else { 2 };
        assert_eq!(counts(&server)["fired"], if late { 1 } else { 2 });
        assert_eq!(counts(&server)["missed"], missed);
        let listed = server.calls().into_iter().filter(|call| call == "GET backupjobs").count();
        assert_eq!(listed, 2, "by a field that the CRD does not have, and without");
    }

    #[tokio::test]
    async fn a_slot_that_fired_does_not_fire_again_though_that_was_not_recorded_and_its_run_is_gone() {
        let server = StandIn::default();
        let (_, ctx, hour) = given(1, &server);
        let mut plan = server.get(PLAN).expect("it is there");
        plan["spec"]["startingDeadlineSeconds"] = json!(2 * HOUR);
        server.put(PLAN, plan.clone());
        let plan: Arc<Plan> = Arc::new(serde_json::from_value(plan).expect("a Plan"));
        server.fault(2, Fault::Answer(503, "ServiceUnavailable"));
        let _ = reconcile(plan.clone(), ctx.clone()).await;
        assert!(counts(&server).is_null());
        let name = plan_run_name("nightly", hour);
        server.remove(&format!("/apis/backups.cozystack.io/v1alpha1/namespaces/n/backupjobs/{name}"));

        let _ = reconcile(plan, ctx.clone()).await;
        let made = server.calls().into_iter().filter(|call| call == "POST backupjobs").count();
        assert_eq!((made, &counts(&server)["fired"]), (1, &json!(1)));
        assert_eq!(ctx.state.open_slots.uids(), [""; 0]);
    }

    #[tokio::test]
    async fn a_plan_without_slots_that_are_due_asks_for_no_runs() {
        let server = StandIn::default();
        let (plan, ctx, _) = given(0, &server);
        let _ = reconcile(plan, ctx).await;
        assert!(!server.calls().iter().any(|call| call == "GET backupjobs"));
    }
}
