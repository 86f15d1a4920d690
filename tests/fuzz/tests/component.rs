//! Runs the inputs in the built component, in the sandbox. A trap, an exhausted limit or an answer that breaks the contract
//! is a fault.

#![allow(clippy::print_stdout, reason = "prints the cost of the inputs")]

use backstay_core::contract::Json;
use backstay_core::pod_policy;
use backstay_fuzz::driver::{Plan, hex, run};
use backstay_fuzz::requests::Input;
use backstay_sdk as sdk;
use backstay_testing::Built;
use backstay_testing::contract::{
    Artifact, Backup, Container, GroupKind, Mode, ObjectRef, Pod, PodResult, Request,
};

const SEED: u64 = 20_260_101;
const COUNT: u64 = 600;

fn group_kind(v: &sdk::GroupKind) -> GroupKind {
    GroupKind { group: v.group.clone(), kind: v.kind.clone() }
}

fn object(v: &sdk::ObjectRef) -> ObjectRef {
    ObjectRef {
        api_version: v.api_version.clone(),
        kind: v.kind.clone(),
        namespace: v.namespace.clone(),
        name: v.name.clone(),
    }
}

fn request(v: &sdk::Request<sdk::Value>) -> Request {
    Request {
        mode: match v.mode {
            sdk::Mode::Backup => Mode::Backup,
            sdk::Mode::Restore => Mode::Restore,
            sdk::Mode::Cleanup => Mode::Cleanup,
        },
        run: object(&v.run),
        run_uid: v.run_uid.clone(),
        started_at: v.started_at,
        deadline: v.deadline,
        now: v.now,
        strategy_kind: group_kind(&v.kind),
        strategy: v.spec.clone(),
        parameters: v.parameters.clone(),
        options: v.options.clone(),
        application: object(&v.application),
        backup: v.backup.as_ref().map(|b| Backup {
            name: b.name.clone(),
            uid: b.uid.clone(),
            run_uid: b.run_uid.clone(),
            component_version: b.component_version.clone(),
            application: group_kind(&b.application),
            application_name: b.application_name.clone(),
            taken_at: b.taken_at,
            metadata: b.metadata.clone(),
            artifact: b.artifact.as_ref().map(|a| Artifact {
                uri: a.uri.clone(),
                size_bytes: a.size_bytes,
                checksum: a.checksum.clone(),
            }),
            underlying_resources: b.underlying_resources.clone(),
            private_data: b.private_data.clone(),
        }),
        namespaces: v.namespaces.clone(),
        inherited: None,
        cancelled: None,
    }
}

fn ended(v: &sdk::PodResult) -> PodResult {
    let container = |c: &sdk::Container| Container {
        name: c.name.clone(),
        exit_code: c.exit_code,
        reason: c.reason.clone(),
        message: c.message.clone(),
        log: c.log.clone(),
    };
    let pod = |pod: &sdk::Pod| Pod {
        name: pod.name.clone(),
        reason: pod.reason.clone(),
        message: pod.message.clone(),
        started_at: pod.started_at,
        finished_at: pod.finished_at,
        containers: pod.containers.iter().map(container).collect(),
    };
    PodResult {
        succeeded: v.succeeded,
        reason: v.reason.clone(),
        message: v.message.clone(),
        pods: v.pods.iter().map(pod).collect(),
        data: v.data.clone(),
    }
}

/// Returns whether the strategy's template has maps and texts where a pod template has them.
fn is_shaped(strategy: Option<&Json>) -> bool {
    strategy.and_then(|spec| spec.get("template")).is_none_or(|template| pod_policy::shape(template).is_ok())
}

#[test]
fn the_job_component_answers_whatever_it_is_told() {
    let job = Built::strategy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../strategies/job"));
    let (mut fuel, mut memory, mut pods, mut refused) = (0, 0, 0, 0);
    let (fine, found) = run(Plan { seed: SEED, count: COUNT, at_most: None }, |bytes| {
        let input = Input::of(bytes);
        let call = request(&input.request);
        let rendered = job.component().render(&call, input.application.as_ref());
        let rendered = match rendered {
            // What is written in the place of maps is not for the component to judge: the schema of the CRD refuses it.
            Err(e) if e.reason() == "StrategyBadAnswer" && !is_shaped(call.strategy.as_ref()) => {
                refused += 1;
                return Ok(());
            }
            other => other.map_err(|e| format!("render: {}: {e}: {:?}", e.reason(), call.strategy))?,
        };
        let parsed = job.component().parse(&call, &ended(&input.ended));
        let parsed = parsed.map_err(|e| format!("parse: {}: {e}: {:?}", e.reason(), input.ended))?;
        let spec = call.strategy.clone().unwrap_or_default();
        let validated = job.component().validate(&call.strategy_kind, &spec, None, None);
        let validated = validated.map_err(|e| format!("validate: {}: {e}: {spec}", e.reason()))?;
        fuel = fuel.max(rendered.fuel).max(parsed.fuel).max(validated.fuel);
        memory = memory.max(rendered.memory_bytes).max(parsed.memory_bytes).max(validated.memory_bytes);
        match rendered.value {
            Ok(_) => pods += 1,
            Err(_) => refused += 1,
        }
        Ok(())
    });
    if let Some(found) = found {
        panic!(
            "after {fine} inputs: {}\nthe input, for `cargo run -p backstay-fuzz -- guest --replay`: {}",
            found.fault,
            hex(&found.input)
        );
    }
    println!("{fine} inputs, {pods} pods, {refused} refused; at most {fuel} fuel, {memory} bytes");
    assert!(fuel < job.component().limits().fuel / 2, "the bounds of templates leave fuel to spare");
    assert!(pods > COUNT / 20 && refused > COUNT / 20, "{pods} pods, {refused} refused");
}
