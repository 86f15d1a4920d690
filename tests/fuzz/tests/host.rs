//! The host's decoding of Jobs and pods, whose every part may be odd, on their way to a component.

#![allow(clippy::print_stdout, reason = "prints the number of inputs")]

use std::sync::Arc;

use backstay_core::contract::{
    Access, Action, Decision, Descriptor, GroupKind, Mode, ObjectRef, Pairs, PodRun, RunPod, Scope,
    StepResult, Traits, Verbs,
};
use backstay_core::job::{JobSpec, PodRunNote, ProofKey, build, end, pod_result};
use backstay_core::pod_names;
use backstay_core::pod_policy::{self, Allowed, Level};
use backstay_core::steps::{self, Grants, Owner, Pins, Verb, Wake};
use backstay_fuzz::driver::{Plan, hex, run};
use backstay_fuzz::objects::{job_and_pod, template_and_patch};
use backstay_testing::Built;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

#[test]
fn a_job_and_its_pod_are_judged_whatever_is_in_them() {
    let component = Built::strategy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../strategies/job"));
    let request = component.backup().request().clone();
    let some = || Some(vec!["a*".to_owned()]);
    let allowed = Allowed { service_accounts: some(), secrets: some(), images: some(), ..Allowed::default() };
    let (mut decoded, mut judged) = (0, 0);
    let plan = Plan { seed: 20_260_101, count: 3000, at_most: None };
    let (fine, found) = run(plan, |bytes| {
        let (job, pod) = job_and_pod(bytes);
        for finding in pod_policy::check(&pod, &allowed).into_iter().chain(pod_names::check(&pod)) {
            if finding.message.is_empty() || !finding.at.starts_with('/') {
                return Err(format!("{finding:?} of {pod}"));
            }
        }
        // The client does not decode objects that the API server would refuse.
        let (Ok(job), Ok(pod)) = (serde_json::from_value::<Job>(job), serde_json::from_value::<Pod>(pod))
        else {
            return Ok(());
        };
        decoded += 1;
        let note = PodRunNote::of(&job);
        let Some(end) = end(&job) else { return Ok(()) };
        let result = pod_result(&end, vec![Arc::new(pod).into()], note.data, |_, _| "log".to_owned());
        if result.pods.len() > 4 {
            return Err(format!("{} pods", result.pods.len()));
        }
        // One in ten calls the component too.
        judged += 1;
        if judged % 10 == 0 {
            let called = component.component().parse(&request, &result);
            called.map_err(|e| format!("{}: {e}: {result:?}", e.reason()))?;
        }
        Ok(())
    });
    if let Some(found) = found {
        panic!("after {fine} inputs: {}\nthe input: {}", found.fault, hex(&found.input));
    }
    println!("{fine} inputs, {decoded} decoded, {judged} judged");
    assert!(decoded > 300 && judged > 300, "{decoded} decoded, {judged} judged");
}

fn object(kind: &str) -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".into(),
        kind: kind.into(),
        namespace: Some("tenant".into()),
        name: "a".into(),
    }
}

fn pod_run(template: Value) -> PodRun {
    PodRun { template, backoff_limit: 2, active_deadline: None, log_lines: 20, data: None, findings: vec![] }
}

/// Runs a pod as the host does, and returns what it must not do.
fn run_pod(template: &Value, allowed: &[Allowed; 2]) -> Result<bool, String> {
    let shape = pod_policy::shape(template);
    let [baseline, restricted] = allowed.each_ref().map(|allowed| pod_policy::check(template, allowed));
    for finding in &restricted {
        // The empty pointer is the whole template: it was no map.
        if finding.message.is_empty() || finding.at.is_empty() && template.is_object() {
            return Err(format!("{finding:?} of {template}"));
        }
    }
    if !baseline.iter().all(|finding| restricted.contains(finding)) {
        return Err(format!("restricted allows more than baseline: {template}"));
    }
    let (run, strategy) = (object("BackupJob"), GroupKind { group: "g".into(), kind: "Job".into() });
    let spec = JobSpec {
        name: "n",
        run: &run,
        run_uid: "u",
        mode: Mode::Backup,
        strategy: &strategy,
        application: &Default::default(),
        key: &ProofKey::new([7; 32]),
        seconds_left: 60,
    };
    let job = build(&spec, &pod_run(template.clone()));
    let marked = job.pointer("/spec/template/metadata/labels/backstay.dev~1run-uid") == Some(&json!("u"));
    if shape.is_ok() && !marked {
        return Err(format!("the pods do not have the run's label: {job}"));
    }
    Ok(shape.is_ok() && baseline.is_empty())
}

#[test]
fn what_a_guest_answers_is_judged_and_built_whatever_is_in_it() {
    let some = || Some(vec!["a*".to_owned()]);
    let allowed = [Level::Baseline, Level::Restricted].map(|pod_security| Allowed {
        service_accounts: some(),
        secrets: some(),
        images: some(),
        pod_security,
    });
    let verbs = Verbs { apply: true, patch: true, create: true, ..Verbs::default() };
    let descriptor = Descriptor {
        name: "x".into(),
        version: "1.0.0".into(),
        kinds: vec![],
        parameters_schema: json!({}),
        options_schema: json!({}),
        access: vec![Access {
            group: "apps".into(),
            version: "v1".into(),
            kind: "Deployment".into(),
            plural: "deployments".into(),
            scope: Scope::Run,
            verbs,
            fields: vec!["/spec".into()],
            guards: vec![],
        }],
        namespaces: Pairs::new(),
        stages: vec![],
        longest_run: 60,
        restores: vec![],
        target_namespace_option: None,
        traits: Traits::default(),
    };
    let pins = Pins {
        namespace: "tenant".into(),
        run_uid: "u".into(),
        application: object("App"),
        owners: vec![Owner::Run("u".into())],
        namespaces: Pairs::new(),
    };
    let mut run = 0;
    let plan = Plan { seed: 20_260_202, count: 5000, at_most: None };
    let (fine, found) = backstay_fuzz::driver::run(plan, |bytes| {
        let (template, patch) = template_and_patch(bytes);
        run += usize::from(run_pod(&template, &allowed)?);
        let action = Action::RunPod(RunPod { name: "probe".into(), spec: pod_run(template.clone()) });
        let decision = Decision::Act(vec![action]);
        let step = StepResult { checkpoint: None, conditions: vec![], events: vec![], decision };
        Wake::new(None, 0, 1).take_step(step).map_err(|e| e.to_string())?;
        let grants = Grants::new(&descriptor, &pins);
        let of = object("Deployment");
        for verb in [Verb::Create, Verb::Apply, Verb::Patch] {
            let reach =
                grants.reach(verb, "apps/v1", "Deployment", Some("tenant")).map_err(|e| e.to_string())?;
            for before in [None, Some(&template)] {
                let mut after = before.cloned().unwrap_or_default();
                steps::merge_patch(&mut after, &patch);
                let _ = reach.allows(verb, &patch, before, &after);
                let _ = pod_policy::judge_change(&of, &patch, before, &after, &allowed[1]);
                let _ = pins.marks(&patch, &after);
                let _ = steps::identity(&after);
                let _ = steps::projected(&after, &["/spec/template".to_owned()]);
            }
        }
        Ok(())
    });
    if let Some(found) = found {
        panic!("after {fine} inputs: {}\nthe input: {}", found.fault, hex(&found.input));
    }
    println!("{fine} inputs, {run} pods run");
    assert!(run > 300, "{run} pods run");
}
