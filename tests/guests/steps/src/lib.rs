//! A guest of tests: a strategy in steps whose spec is a program. Each instruction is one item of the contract, so that a
//! test can check how the host carries it out. The checkpoint collects the answers, and the end of the run shows them: in
//! a backup as the Backup's underlying resources, else in condition `Seen`.

mod access;
mod program;

use backstay_sdk::prelude::*;
use backstay_sdk::step::{
    Action, Apply, Create, Decision, Delete, GetQuery, ListQuery, LogQuery, Patch, Propagation, Query,
    RunPod, Selection, Step, Stop, View, Wait, Watch, WriteError,
};
use backstay_sdk::{
    Descriptor, Deserialize, Event, Finding, NamespacedName, ObjectRef, Serialize, Value, json,
};

use program::{Dependents, Instruction, Object, StepsSpec, Watched};

/// Whether this is the guest without the trait `cancel`.
const KEEPER: bool = cfg!(feature = "keeper");

/// Runs the program of the spec.
#[derive(Debug)]
pub struct Steps;

/// The position in the program, and the observations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
struct Memory {
    at: usize,
    seen: Vec<Value>,
    undoing: bool,
    /// Whether the action of the instruction has been sent, so that a result is its own.
    acting: bool,
    stage: String,
    /// Of a flood: the number of its writes, and what makes the checkpoint large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flood: Option<(u32, String)>,
}

impl Strategy for Steps {
    const NAME: &'static str = if KEEPER { "keeper" } else { "steps" };
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind = if KEEPER {
        Kind { group: "test.backstay.dev", version: "v1", kind: "Keep", plural: "keeps" }
    } else {
        Kind { group: "test.backstay.dev", version: "v1", kind: "Steps", plural: "steps" }
    };
    const TRAITS: Traits =
        Traits { restore: true, cleanup: true, cancel: !KEEPER, strategy_on_restore: true, ..Traits::NONE };
    const LONGEST_RUN: u32 = 3600;
    type Spec = StepsSpec;

    fn describe() -> Descriptor {
        let mut descriptor = Descriptor::of::<Self>();
        descriptor.access = access::declared();
        descriptor.stages = access::stages();
        descriptor
    }
}

impl ResourceStrategy for Steps {
    fn step(request: &Request<StepsSpec>, view: &View) -> Result<Step, Stop> {
        let spec = request.spec()?;
        let mut memory: Memory = match &view.checkpoint {
            Some(checkpoint) => checkpoint.decode()?,
            None => begin(request),
        };
        if request.cancelled.is_some() && !memory.undoing {
            memory = Memory { at: 0, undoing: true, acting: false, ..memory };
        }
        let program = match (memory.undoing, request.mode) {
            (true, _) => &spec.undo,
            (false, Mode::Backup) => &spec.backup,
            (false, Mode::Restore) => &spec.restore,
            (false, Mode::Cleanup) => &spec.cleanup,
        };
        // A result belongs to the instruction that acted.
        if let Some(result) = view.results.first()
            && memory.acting
        {
            memory.acting = false;
            let flooding = matches!(program.get(memory.at), Some(Instruction::Flood { .. }));
            let again = matches!(
                (&result.value, program.get(memory.at)),
                (
                    Err(WriteError::Conflict(_) | WriteError::NotFound),
                    Some(Instruction::Delete { uid: None, .. }),
                ) | (Err(WriteError::Conflict(_)), Some(Instruction::Patch { resource_version: None, .. }),)
            );
            if let (Err(error), Some(Instruction::RunPod { name, .. })) =
                (&result.value, program.get(memory.at))
            {
                return Err(Failure::new("PodRefused", format!("pod run {name}: {error:?}")).into());
            }
            // The object has changed since it was read: read it again.
            if !again && !flooding {
                for result in &view.results {
                    memory.saw(match &result.value {
                        Ok(object) => json!({"done": object}),
                        Err(error) => json!({"refused": format!("{error:?}")}),
                    });
                }
                memory.at += 1;
            }
        }
        run(request, spec, view, program, memory)
    }
}

/// The parts of the first request that the guest shows.
fn begin(request: &Request<StepsSpec>) -> Memory {
    let mut memory = Memory { stage: "safe".to_owned(), ..Memory::default() };
    if let Some(inherited) = &request.inherited {
        let of = (&inherited.run_uid, &inherited.checkpoint.stage, &inherited.checkpoint.data["at"]);
        memory.seen.push(json!({"inherited": {"runUid": of.0, "stage": of.1, "at": of.2}}));
    }
    if let Some(private) = request.backup.as_ref().and_then(|b| b.private_data.as_ref()) {
        memory.seen.push(json!({"private": private}));
    }
    memory
}

impl Memory {
    fn saw(&mut self, value: Value) {
        // Enough to compare, and short enough for a condition.
        self.seen.push(shortened(value));
    }
}

/// Returns the fields of an object that tests check.
fn shortened(value: Value) -> Value {
    let short = |object: &Value| {
        json!({"name": object["metadata"]["name"], "data": object["data"], "labels": object["metadata"]["labels"],
            "managed": !object["metadata"]["managedFields"].is_null(), "spec": object["spec"]["holderIdentity"]})
    };
    match (value.get("done"), value.get("object")) {
        (Some(Value::Null), _) => json!({"done": null}),
        (Some(object), _) => json!({"done": short(object)}),
        (_, Some(object)) => json!({"object": short(object)}),
        _ => value,
    }
}

/// Runs the program until it needs the host.
fn run(
    request: &Request<StepsSpec>,
    spec: &StepsSpec,
    view: &View,
    program: &[Instruction],
    mut memory: Memory,
) -> Result<Step, Stop> {
    let (mut conditions, mut events) = (Vec::new(), Vec::new());
    while let Some(instruction) = program.get(memory.at) {
        let decision = match instruction {
            Instruction::Stage(name) => {
                memory.stage.clone_from(name);
                None
            }
            Instruction::Condition { type_, status, message } => {
                conditions.push(Condition {
                    type_: type_.clone(),
                    status: *status,
                    reason: "Told".to_owned(),
                    message: message.clone(),
                });
                None
            }
            Instruction::Event { warning, message } => {
                events.push(Event { warning: *warning, reason: "Told".to_owned(), message: message.clone() });
                None
            }
            Instruction::Fail(message) => Some(Decision::Fail(Failure::new("ToldToFail", message.clone()))),
            Instruction::Trap(message) => panic!("{message}"),
            Instruction::Ask => Some(Decision::Observe(vec![Query::SecretKeys(NamespacedName {
                namespace: request.namespace().to_owned(),
                name: format!("never-{}", view.answers.len()),
            })])),
            Instruction::Until { object, at, equals, wait_seconds, watch } => {
                let found = object.named(request);
                let query = GetQuery { object: found.clone(), live: false, fields: Vec::new() };
                match ask(view, Query::Get(query)) {
                    Err(observe) => Some(*observe),
                    Ok(answer) if answer["object"].pointer(at).and_then(Value::as_str) == Some(equals) => {
                        None
                    }
                    Ok(_) => Some(Decision::Wait(Wait {
                        reason: "ToldToWait".to_owned(),
                        message: format!("until {} of {} is {equals}", at, found.name),
                        watch: watched(watch, &found, request),
                        recheck_after: *wait_seconds,
                        deadline: request.now + 3600,
                    })),
                }
            }
            Instruction::Sleep { seconds } => {
                if request.now >= view.stage_since + i64::from(*seconds) {
                    None
                } else {
                    Some(Decision::Wait(Wait {
                        reason: "ToldToSleep".to_owned(),
                        message: format!("for {seconds} s"),
                        watch: Vec::new(),
                        recheck_after: 600,
                        deadline: view.stage_since + i64::from(*seconds),
                    }))
                }
            }
            Instruction::Flood { object, bytes, spin } => {
                Some(flood(object, *bytes, *spin, &mut memory, request))
            }
            asking if asking.query(request).is_some() => {
                match ask(view, asking.query(request).unwrap_or(NEVER)) {
                    Err(observe) => Some(*observe),
                    Ok(answer) => {
                        if asking.is_pending(&answer) {
                            Some(Decision::Wait(Wait {
                                reason: "ToldToWait".to_owned(),
                                message: "for a pod".to_owned(),
                                watch: asking
                                    .pod()
                                    .map(|name| Watch::Pod(name.to_owned()))
                                    .into_iter()
                                    .collect(),
                                recheck_after: 60,
                                deadline: request.now + 3600,
                            }))
                        } else {
                            memory.saw(answer);
                            None
                        }
                    }
                }
            }
            Instruction::All(all) => {
                Some(Decision::Act(all.iter().map(|one| action(one, request)).collect()))
            }
            Instruction::Delete { object, uid: None, own, resource_version, propagation } => {
                let found = GetQuery { object: object.named(request), live: true, fields: Vec::new() };
                match ask(view, Query::Get(found)) {
                    Err(observe) => Some(*observe),
                    Ok(answer) => match answer["object"]["metadata"]["uid"]
                        .as_str()
                        .filter(|_| !own || is_own(&answer, request))
                    {
                        None => {
                            memory.saw(json!({"done": null}));
                            None
                        }
                        Some(uid) => {
                            let version = resource_version.clone();
                            Some(Decision::Act(vec![delete(object, uid, version, *propagation, request)]))
                        }
                    },
                }
            }
            acting => Some(Decision::Act(vec![action(acting, request)])),
        };
        match decision {
            None => memory.at += 1,
            Some(decision) => {
                memory.acting = matches!(decision, Decision::Act(_));
                return Ok(step(decision, &memory, conditions, events));
            }
        }
    }
    Ok(step(end(request, spec, &memory, &mut conditions), &memory, conditions, events))
}

/// Sixteen writes, each with a checkpoint of its own, then the shortest wait.
fn flood(
    object: &Object,
    bytes: usize,
    spin: u64,
    memory: &mut Memory,
    request: &Request<StepsSpec>,
) -> Decision {
    const WRITES: u32 = 16;
    for n in 0..spin {
        std::hint::black_box(n);
    }
    let number = memory.flood.take().map_or(0, |(number, _)| number + 1);
    memory.flood = Some((number, format!("{number:08}").repeat(bytes / 8)));
    if number % (WRITES + 1) == WRITES {
        return Decision::Wait(Wait {
            reason: "ToldToFlood".to_owned(),
            message: "for a second".to_owned(),
            watch: Vec::new(),
            recheck_after: 1,
            deadline: request.now + 3600,
        });
    }
    let apply = Instruction::Apply {
        object: object.clone(),
        with: json!({"data": {"number": number.to_string()}}),
        force: true,
    };
    Decision::Act(vec![action(&apply, request)])
}

const NEVER: Query = Query::Pod(String::new());

fn step(decision: Decision, memory: &Memory, conditions: Vec<Condition>, events: Vec<Event>) -> Step {
    let mut step = Step::new(decision).remember(&memory.stage, memory);
    step.conditions = conditions;
    step.events = events;
    step
}

/// Ends the run after the last instruction.
fn end(
    request: &Request<StepsSpec>,
    spec: &StepsSpec,
    memory: &Memory,
    conditions: &mut Vec<Condition>,
) -> Decision {
    if memory.undoing {
        return Decision::Fail(Failure::new(
            "Undone",
            format!("undone: {}", Value::from(memory.seen.clone())),
        ));
    }
    if request.mode == Mode::Backup {
        return Decision::Done(Some(Outcome {
            underlying_resources: Some(
                json!({"apiVersion": "test.backstay.dev/v1", "kind": "Seen", "seen": memory.seen}),
            ),
            private_data: spec.private.clone(),
            ..Outcome::default()
        }));
    }
    conditions.push(Condition {
        type_: "Seen".to_owned(),
        status: Some(true),
        reason: "Told".to_owned(),
        message: Value::from(memory.seen.clone()).to_string(),
    });
    Decision::Done(None)
}

/// Returns the answer to a query as JSON, or the query if it has none.
fn ask(view: &View, query: Query) -> Result<Value, Box<Decision>> {
    use backstay_sdk::step::Content;
    match view.ask(query.clone()) {
        Err(Stop::Ask(queries)) => Err(Box::new(Decision::Observe(queries))),
        Err(Stop::Wait(wait)) => Err(Box::new(Decision::Wait(wait))),
        Err(Stop::Fail(failure)) => Err(Box::new(Decision::Fail(failure))),
        Ok(Err(error)) => Ok(json!({"error": format!("{error:?}")})),
        Ok(Ok(content)) => Ok(match content {
            Content::Object(object) => json!({"object": object}),
            Content::Objects(list) if asks_for_fields(&query) => {
                json!({"items": list.items, "complete": list.complete})
            }
            Content::Objects(list) => {
                let names: Vec<_> = list.items.iter().map(|o| o["metadata"]["name"].clone()).collect();
                json!({"objects": names, "complete": list.complete})
            }
            Content::Log(text) => json!({"log": text}),
            Content::SecretKeys(keys) => json!({"keys": keys}),
            Content::Pod(None) => json!({"pod": null}),
            Content::Pod(Some(result)) => json!({"pod": {"succeeded": result.succeeded, "data": result.data,
                "messages": result.pods.iter().flat_map(|p| &p.containers).map(|c| c.message.clone()).collect::<Vec<_>>()}}),
        }),
    }
}

fn asks_for_fields(query: &Query) -> bool {
    matches!(query, Query::List(list) if !list.fields.is_empty())
}

fn watched(watch: &Watched, object: &ObjectRef, request: &Request<StepsSpec>) -> Vec<Watch> {
    match watch {
        Watched::Nothing => Vec::new(),
        Watched::Object => vec![Watch::Object(object.clone())],
        Watched::Labels(labels) => vec![Watch::Objects(Selection {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: Some(request.namespace().to_owned()),
            labels: labels.clone(),
        })],
    }
}

impl Object {
    fn named(&self, request: &Request<StepsSpec>) -> ObjectRef {
        if self.kind == "$application" {
            return request.application.clone();
        }
        ObjectRef {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            namespace: match self.namespace.as_deref() {
                None => Some(request.namespace().to_owned()),
                Some("") => None,
                Some(named) => Some(named.to_owned()),
            },
            name: self.name.clone(),
        }
    }

    fn manifest(&self, more: &Value, request: &Request<StepsSpec>) -> Value {
        let object = self.named(request);
        let mut manifest = more.clone();
        manifest["apiVersion"] = json!(object.api_version);
        manifest["kind"] = json!(object.kind);
        manifest["metadata"]["name"] = json!(object.name);
        if let Some(namespace) = object.namespace {
            manifest["metadata"]["namespace"] = json!(namespace);
        }
        manifest
    }
}

impl Instruction {
    fn query(&self, request: &Request<StepsSpec>) -> Option<Query> {
        Some(match self {
            Self::Get { object, live, fields } => {
                Query::Get(GetQuery { object: object.named(request), live: *live, fields: fields.clone() })
            }
            Self::List { object, labels, live, fields, limit } => {
                let of = object.named(request);
                Query::List(ListQuery {
                    objects: Selection {
                        api_version: of.api_version,
                        kind: of.kind,
                        namespace: of.namespace,
                        labels: labels.clone(),
                    },
                    live: *live,
                    fields: fields.clone(),
                    limit: *limit,
                })
            }
            Self::Log { pod, container, previous } => Query::Log(LogQuery {
                pod: NamespacedName { namespace: request.namespace().to_owned(), name: pod.clone() },
                container: container.clone(),
                previous: *previous,
                lines: 5,
            }),
            Self::Keys { secret } => Query::SecretKeys(NamespacedName {
                namespace: request.namespace().to_owned(),
                name: secret.clone(),
            }),
            Self::Pod { name } => Query::Pod(name.clone()),
            _ => return None,
        })
    }

    fn pod(&self) -> Option<&str> {
        match self {
            Self::Pod { name } => Some(name),
            _ => None,
        }
    }

    fn is_pending(&self, answer: &Value) -> bool {
        self.pod().is_some() && answer.get("pod").is_some_and(Value::is_null)
    }
}

fn is_own(answer: &Value, request: &Request<StepsSpec>) -> bool {
    answer["object"]["metadata"]["labels"]["backstay.dev/run-uid"] == json!(request.run_uid)
}

fn delete(
    object: &Object,
    uid: &str,
    resource_version: Option<String>,
    dependents: Dependents,
    request: &Request<StepsSpec>,
) -> Action {
    Action::Delete(Delete {
        object: object.named(request),
        uid: uid.to_owned(),
        resource_version,
        propagation: match dependents {
            Dependents::Background => Propagation::Background,
            Dependents::Foreground => Propagation::Foreground,
            Dependents::Orphan => Propagation::Orphan,
        },
    })
}

fn action(instruction: &Instruction, request: &Request<StepsSpec>) -> Action {
    match instruction {
        Instruction::Create { object, with, dry_run } => {
            Action::Create(Create { manifest: object.manifest(with, request), dry_run: *dry_run })
        }
        Instruction::Apply { object, with, force } => {
            Action::Apply(Apply { manifest: object.manifest(with, request), force: *force })
        }
        Instruction::ApplyOwn { object, force } => {
            let mark = json!({"metadata": {"labels": {"backstay.dev/run-uid": request.run_uid}}});
            Action::Apply(Apply { manifest: object.manifest(&mark, request), force: *force })
        }
        Instruction::Patch { object, with, resource_version, uid } => Action::Patch(Patch {
            object: object.named(request),
            uid: uid.clone(),
            resource_version: resource_version.clone(),
            body: with.clone(),
        }),
        Instruction::Delete { object, uid: Some(uid), resource_version, propagation, .. } => {
            delete(object, uid, resource_version.clone(), *propagation, request)
        }
        Instruction::RunPod { name, script, node, warning } => Action::RunPod(RunPod {
            name: name.clone(),
            spec: PodRun {
                backoff_limit: 0,
                data: Some(json!({"of": name})),
                findings: warning.iter().map(|w| Finding::warning("/strategy/script", w)).collect(),
                ..PodRun::new(
                    json!({"spec": {"terminationGracePeriodSeconds": 0, "nodeSelector": node.as_ref().map(|node| json!({"kubernetes.io/hostname": node})),
            "tolerations": node.as_ref().map(|_| json!([{"operator": "Exists"}])), "containers": [{"name": "main",
                    "image": "localhost/backstay-tools:1", "command": ["/bin/sh", "-euc", script]}]}}),
                )
            },
        }),
        // The other instructions query, wait or end, and were handled before.
        other => unreachable_instruction(other),
    }
}

fn unreachable_instruction(instruction: &Instruction) -> ! {
    panic!("{instruction:?} does nothing to the cluster")
}

backstay_sdk::export_resource!(Steps);
