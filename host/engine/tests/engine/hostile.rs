//! A guest that answers everything wrong that a type allows.
//!
//! For every export there are sound answers. Each of their fields is replaced, one at a time, by every wrong value of its
//! type: [`wrong`] makes them of the WIT types, so a new field of the contract is played without a new test. Each answer ends
//! with a reason of its own, or is passed on to what the host does with it. Nothing panics, and nothing takes long.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use backstay_api::{RunRecord, TypedRef};
use backstay_core::contract::{
    Action, Decision, Descriptor, GroupKind, ObjectRef, Outcome, PodRun, Query, Request, StepResult, Watch,
};
use backstay_core::job::{JobSpec, PodRunNote, ProofKey};
use backstay_core::pod_policy::{self, Allowed, Level};
use backstay_core::steps::{self, Grants, Pins, Verb, Wake};
use backstay_core::{backup, job};
use backstay_engine::{CallError, Called, Component};
use jiff::Timestamp;
use serde_json::{Value, json};
use wit_parser::{Resolve, Type, TypeDefKind};

use crate::attacks::load;
use crate::guest::Guest;
use crate::requests::{ENGINE, NOW, ended, request, view};

/// Reasons that an answer may end with.
const REASONS: [&str; 5] = [
    "StrategyBadAnswer",
    "StrategyOutputTooLarge",
    "StrategyTrapped",
    "StrategyUndeclaredAccess",
    "StrategyOutOfMemory",
];
/// The longest that an answer may take, call and checks together; a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

/// Texts that are wrong as a name, a message, a reason, a pointer or JSON, and some that are right as one and wrong as
/// another.
fn texts() -> Vec<Vec<u8>> {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let long = |n: usize| "x".repeat(n);
    let map = |n: usize| {
        let entries: Vec<_> = (0..n).map(|i| format!("\"k{i}\":{i}")).collect();
        format!("{{{}}}", entries.join(","))
    };
    let pod = |spec: &str| format!("{{\"spec\":{spec}}}");
    let mut texts: Vec<Vec<u8>> = [
        "", " ", "\n", "a\n2026-01-01T00:00:00Z ERROR forged", "\u{0}", "\u{1b}[2J", "\u{202e}", "é", "😀", ".", "..", "a/b", "../../secrets",
        "a%2fb", "a?b", "a#b", "A", "-a", "a-", "a b", "*", "{namespace}", "{run-uid}", "{application}*", "a,b in (c)", "/", "/a", "/~2", "/spec/0",
        "backstay.dev", "backups.cozystack.io", "v1", "v1/v1", "apps/v1", "Secret", "secrets", "Pod", "default", "kube-system", "tenant", "Ready",
        "1.0.0", ">=1", "null", "true", "7", "-1", "0.5", "1e400", "-1e-400", "18446744073709551616", "-9223372036854775809", "9007199254740993",
        "\"text\"", "\"\\ud800\"", "\"\\u0000\"", "[]", "[1]", "{}", "{", "[1,", "{\"a\":1,\"a\":2}", "{\"a\":NaN}", "{\"\":{}}",
        "{\"apiVersion\":1,\"kind\":[]}", "{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":\"x\"}", "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":7}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a/b\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\",\"labels\":[]},\"spec\":7}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\",\"namespace\":\"tenant\"},\"spec\":{\"containers\":{}}}",
        "{\"apiVersion\":\"batch/v1\",\"kind\":\"CronJob\",\"metadata\":{\"name\":\"x\",\"namespace\":\"tenant\"},\"spec\":{\"jobTemplate\":[]}}",
        "{\"apiVersion\":\"backstay.dev/v1\",\"kind\":\"X\",\"metadata\":{\"name\":\"x\"}}",
        "{\"metadata\":{\"uid\":7,\"resourceVersion\":{}}}", "{\"metadata\":null}",
        "{\"spec\":{},\"metadata\":\"x\"}", "{\"spec\":{},\"metadata\":{\"labels\":[],\"annotations\":7}}",
        "{\"spec\":{},\"metadata\":{\"labels\":{\"a\":{}}}}", "{\"spec\":{},\"metadata\":{\"annotations\":{\"container.apparmor.security.beta.kubernetes.io/c\":\"unconfined\"}}}",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let specs = [
        "null",
        "\"text\"",
        "7",
        "[]",
        "[{}]",
        "{\"restartPolicy\":7}",
        "{\"containers\":\"all\"}",
        "{\"containers\":[7]}",
        "{\"containers\":[[]]}",
        "{\"initContainers\":{\"a\":{}}}",
        "{\"volumes\":[null,7]}",
        "{\"securityContext\":[]}",
        "{\"hostNetwork\":\"true\"}",
        "{\"hostPID\":1}",
        "{\"containers\":[{\"securityContext\":{\"privileged\":\"yes\",\"capabilities\":[\"ALL\"]}}]}",
        "{\"containers\":[{\"ports\":[{\"hostPort\":80.5},{\"hostPort\":18446744073709551615}]}]}",
        "{\"containers\":[{\"lifecycle\":{\"preStop\":{\"httpGet\":{\"host\":[]}}}}]}",
        "{\"nodeName\":{},\"priorityClassName\":\"system-node-critical\"}",
        "{\"imagePullSecrets\":{\"name\":7},\"serviceAccountName\":[]}",
    ];
    texts.extend(specs.map(|spec| pod(spec).into_bytes()));
    texts.extend(
        [64, 65, 253, 254, 512, 513, 4 << 10, (4 << 10) + 1, 16 << 10, 65 << 10, 257 << 10, (1 << 20) + 1]
            .map(|n| long(n).into_bytes()),
    );
    texts.extend([100, 101, 5000].map(|n| nested(n).into_bytes()));
    texts.extend([65, 5000].map(|n| map(n).into_bytes()));
    texts.push(format!("[{}{{\"\":0}}]", "{\"\":0},".repeat(30_000)).into_bytes());
    texts.push(pod(&format!("{{\"containers\":[{}{{}}]}}", "{},".repeat(20_000))).into_bytes());
    // No UTF-8.
    texts.extend([vec![0xff], vec![b'a', 0xc3], vec![0xed, 0xa0, 0x80]]);
    texts
}

/// Makes values of the WIT types.
struct Wrong<'a> {
    resolve: &'a Resolve,
    /// Every text, laid out in the guest's memory.
    texts: &'a [Value],
}

impl Wrong<'_> {
    fn kind(&self, ty: &Type) -> Option<(&TypeDefKind, Option<&str>)> {
        let Type::Id(id) = ty else { return None };
        let def = &self.resolve.types[*id];
        match &def.kind {
            TypeDefKind::Type(inner @ Type::Id(_)) => self.kind(inner),
            kind => Some((kind, def.name.as_deref())),
        }
    }

    /// Returns a sound value of a type.
    fn sample(&self, ty: &Type) -> Value {
        match (ty, self.kind(ty)) {
            (Type::String, _) => json!("name"),
            (Type::Bool, _) => json!(false),
            (_, None) => json!(1),
            (_, Some((kind, name))) => match kind {
                TypeDefKind::Type(Type::String) => match name {
                    Some("json") => json!("{}"),
                    Some("json-pointer") => json!("/a"),
                    Some("reason") => json!("Because"),
                    _ => json!("name"),
                },
                TypeDefKind::Type(ty) => self.sample(ty),
                TypeDefKind::Record(record) => record
                    .fields
                    .iter()
                    .map(|f| (f.name.clone(), self.sample(&f.ty)))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
                TypeDefKind::Tuple(tuple) => tuple.types.iter().map(|ty| self.sample(ty)).collect(),
                TypeDefKind::Variant(variant) => {
                    self.case(&variant.cases[0].name, variant.cases[0].ty.as_ref())
                }
                TypeDefKind::Enum(cases) => json!(cases.cases[0].name),
                TypeDefKind::Result(result) => json!({"ok": result.ok.as_ref().map(|ty| self.sample(ty))}),
                TypeDefKind::List(_) | TypeDefKind::Flags(_) => json!([]),
                _ => Value::Null,
            },
        }
    }

    fn case(&self, name: &str, ty: Option<&Type>) -> Value {
        ty.map_or_else(|| json!(name), |ty| json!({ name: self.sample(ty) }))
    }

    /// Returns `base` with one thing in it made wrong, in every way.
    fn wrong(&self, ty: &Type, base: &Value) -> Vec<Value> {
        let integers =
            |bounds: &[i128]| bounds.iter().map(|n| serde_json::from_str(&n.to_string()).unwrap()).collect();
        match ty {
            Type::String => return self.texts.to_vec(),
            Type::Bool => return vec![json!(true), json!(false)],
            Type::U32 => return integers(&[0, 1, 1 << 31, u32::MAX.into()]),
            Type::S32 => return integers(&[0, -1, i32::MIN.into(), i32::MAX.into()]),
            Type::U64 => return integers(&[0, 1 << 53, 1 << 63, u64::MAX.into()]),
            Type::S64 => return integers(&[0, -1, 253_402_300_800, i64::MIN.into(), i64::MAX.into()]),
            _ => {}
        }
        let (kind, _) = self.kind(ty).unwrap_or_else(|| panic!("{ty:?} is not in the contract"));
        match kind {
            TypeDefKind::Type(ty) => self.wrong(ty, base),
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                fields
                    .flat_map(|f| {
                        self.within(base, &f.name, &f.ty, base.get(&f.name).unwrap_or(&Value::Null))
                    })
                    .collect()
            }
            TypeDefKind::Tuple(tuple) => {
                let place = |i: usize, wrong| {
                    let mut changed = base.clone();
                    changed[i] = wrong;
                    changed
                };
                let items = tuple.types.iter().enumerate();
                items
                    .flat_map(|(i, ty)| self.wrong(ty, &base[i]).into_iter().map(move |w| place(i, w)))
                    .collect()
            }
            TypeDefKind::Option(ty) => {
                let some = if base.is_null() { self.sample(ty) } else { base.clone() };
                std::iter::once(Value::Null).chain(self.wrong(ty, &some)).collect()
            }
            TypeDefKind::List(ty) => {
                let item = base.get(0).cloned().unwrap_or_else(|| self.sample(ty));
                let mut all: Vec<Value> =
                    self.wrong(ty, &item).into_iter().map(|wrong| json!([wrong])).collect();
                // None, the same twice, and too many.
                all.extend([0, 2, 17, 33, 65, 600].map(|n| Value::Array(vec![item.clone(); n])));
                all
            }
            TypeDefKind::Variant(variant) => {
                let mut all = vec![json!("#99")];
                for case in &variant.cases {
                    match (&case.ty, base.get(&case.name)) {
                        (ty, None) => all.push(self.case(&case.name, ty.as_ref())),
                        (None, Some(_)) => {}
                        // The other cases have sound answers of their own.
                        (Some(ty), Some(payload)) => {
                            let wrong = self.wrong(ty, payload).into_iter();
                            all.extend(wrong.map(|wrong| json!({ &case.name: wrong })));
                        }
                    }
                }
                all
            }
            TypeDefKind::Result(result) => {
                let of = |key: &str, ty: &Option<Type>| {
                    let ty = ty.as_ref().unwrap();
                    let payload = base.get(key).cloned().unwrap_or_else(|| self.sample(ty));
                    self.wrong(ty, &payload)
                        .into_iter()
                        .map(|wrong| json!({ key: wrong }))
                        .collect::<Vec<_>>()
                };
                of("ok", &result.ok).into_iter().chain(of("err", &result.err)).collect()
            }
            TypeDefKind::Enum(cases) => {
                cases.cases.iter().map(|case| json!(case.name)).chain([json!("#99")]).collect()
            }
            TypeDefKind::Flags(flags) => {
                vec![json!([]), flags.flags.iter().map(|flag| json!(flag.name)).collect()]
            }
            other => panic!("{} is not in the contract", other.as_str()),
        }
    }

    fn within(&self, base: &Value, field: &str, ty: &Type, value: &Value) -> Vec<Value> {
        let value = if value.is_null() && !matches!(self.kind(ty), Some((TypeDefKind::Option(_), _))) {
            self.sample(ty)
        } else {
            value.clone()
        };
        let place = |wrong| {
            let mut changed = base.clone();
            changed[field] = wrong;
            changed
        };
        self.wrong(ty, &value).into_iter().map(place).collect()
    }
}

/// A guest with many answers to one function.
struct Played {
    guest: Guest,
    texts: Vec<Value>,
}

impl Played {
    fn new(mut guest: Guest) -> Self {
        let texts = texts()
            .iter()
            .map(|text| {
                let at = guest.bytes(1, text);
                json!({"at": at, "len": text.len(), "bytes": []})
            })
            .collect();
        Self { guest, texts }
    }

    fn wrong(&self, function: &'static str, bases: &[Value]) -> Vec<Value> {
        let (resolve, ty) = self.guest.answer_type(function);
        let wrong = Wrong { resolve, texts: &self.texts };
        bases.iter().flat_map(|base| wrong.wrong(&ty, base)).collect()
    }

    /// Has `function` give the answer whose number `chosen` computes.
    fn component(mut self, function: &'static str, answers: &[Value], chosen: &str) -> Component {
        let addresses: Vec<u8> = answers
            .iter()
            .flat_map(|answer| (self.guest.put(function, answer) as u32).to_le_bytes())
            .collect();
        let table = self.guest.bytes(4, &addresses);
        let body = format!("(i32.load offset={table} (i32.shl {chosen} (i32.const 2)))");
        load(self.guest.body(function, body))
    }
}

/// Returns the number of an answer, as the request's `now` after [`NOW`].
fn by_time(guest: &Guest, function: &str) -> String {
    let now = guest.offset(function, 0, "now");
    format!("(i32.wrap_i64 (i64.sub (i64.load offset={now} (local.get $args)) (i64.const {NOW})))")
}

/// What came of the answers: how many by reason, and those that were passed on.
#[derive(Default)]
struct Tally {
    ended: BTreeMap<String, usize>,
    passed: usize,
    slowest: Duration,
}

impl Tally {
    fn play<T>(
        &mut self,
        shown: impl Fn() -> String,
        call: impl FnOnce() -> Result<Called<T>, CallError>,
        handled: impl FnOnce(T) -> Result<(), String>,
    ) {
        let begin = Instant::now();
        let played = catch_unwind(AssertUnwindSafe(|| {
            let value = call().map_err(|error| {
                assert!(!error.to_string().contains('\n'), "{error}");
                error.reason().to_owned()
            })?;
            handled(value.value)
        }));
        let elapsed = begin.elapsed();
        assert!(elapsed < LONGEST, "{elapsed:?} for {}", shown());
        self.slowest = self.slowest.max(elapsed);
        match played {
            Err(_) => panic!("the host panicked at {}", shown()),
            Ok(Ok(())) => self.passed += 1,
            Ok(Err(reason)) => {
                assert!(REASONS.contains(&reason.as_str()), "{reason} for {}", shown());
                *self.ended.entry(reason).or_default() += 1;
            }
        }
    }

    #[allow(clippy::print_stdout, reason = "says how many answers were played")]
    fn report(&self, what: &str, at_least: usize) {
        let ended: usize = self.ended.values().sum();
        println!(
            "{what}: {} answers, {} passed on, ended {:?}, slowest {:?}",
            ended + self.passed,
            self.passed,
            self.ended,
            self.slowest
        );
        assert!(ended + self.passed >= at_least, "{what}: only {} answers", ended + self.passed);
        assert!(ended > 0 && self.passed > 0);
    }
}

fn at(number: usize) -> Request {
    Request { now: NOW + i64::try_from(number).unwrap(), deadline: NOW + 1_000_000, ..request() }
}

/// What the host does with a pod.
fn run_pod(pod_run: &PodRun) {
    let some = || Some(vec!["a*".to_owned()]);
    for pod_security in [Level::Baseline, Level::Restricted] {
        let allowed = Allowed { service_accounts: some(), secrets: some(), images: some(), pod_security };
        for finding in pod_policy::check(&pod_run.template, &allowed) {
            assert!(finding.at.starts_with('/') && finding.message.len() < 4096, "{finding:?}");
        }
    }
    let (run, strategy) = (request().run, request().strategy_kind);
    let spec = JobSpec {
        name: "run",
        run: &run,
        run_uid: "uid",
        mode: backstay_core::contract::Mode::Backup,
        strategy: &strategy,
        application: &TypedRef::default(),
        key: &ProofKey::new([7; 32]),
        seconds_left: 60,
    };
    let job = job::build(&spec, pod_run);
    assert_eq!(job.pointer("/spec/template/metadata/labels/backstay.dev~1run-uid"), Some(&json!("uid")));
    assert_eq!(job.pointer("/metadata/ownerReferences/0/uid"), Some(&json!("uid")));
    assert!(!PodRunNote::of_run(pod_run).to_text().is_empty());
}

/// What the host does with an outcome.
fn publish(outcome: &Outcome) {
    let record = RunRecord { application_ref: TypedRef::default(), ..RunRecord::default() };
    let made = backup::Made {
        name: "b",
        namespace: "tenant",
        run_uid: "uid",
        plan: None,
        record: &record,
        ended: NOW,
        cleans_up: true,
        private_data: None,
        now: Timestamp::from_second(NOW).unwrap(),
    };
    let built = backup::build(&made, outcome);
    let status = backup::status_of(&record, outcome, Some(1), Timestamp::from_second(NOW).unwrap());
    // What the API server and every reader of the Backup have to decode.
    let json = json!({"spec": built.spec, "status": status});
    let read: backstay_api::BackupSpec = serde_json::from_value(json["spec"].clone()).unwrap();
    assert!(read.taken_at.0.as_second() > 0, "{}", json["spec"]);
    let size = json.pointer("/status/artifact/sizeBytes").and_then(Value::as_u64);
    assert!(size.is_none_or(|size| i64::try_from(size).is_ok()), "the API server reads 64 bits with a sign");
}

/// What the host does with an answer of `step`, short of the API server.
fn take(descriptor: &Descriptor, request: &Request, step: StepResult) -> Result<(), String> {
    let refused = |violation: steps::ContractViolation| {
        assert!(!violation.message.contains('\n'), "{violation}");
        violation.reason.to_owned()
    };
    steps::room_for(&step.conditions, &[], request.mode).map_err(refused)?;
    let pins = Pins::of(request);
    let grants = Grants::new(descriptor, &pins);
    let decision = step.decision.clone();
    Wake::new(None, NOW, NOW).take_step(step).map_err(refused)?;
    let reach = |verb, object: &ObjectRef| {
        grants.reach(verb, &object.api_version, &object.kind, object.namespace.as_deref()).map_err(refused)
    };
    match decision {
        Decision::Observe(queries) => {
            for query in queries {
                match query {
                    Query::Get(get) => {
                        drop(reach(Verb::Get, &get.object)?);
                        let _ = steps::projected(&json!({"a": [1, {"b": 2}]}), &get.fields);
                    }
                    Query::List(list) => {
                        let of = list.objects;
                        grants
                            .reach(Verb::List, &of.api_version, &of.kind, of.namespace.as_deref())
                            .map_err(refused)?;
                    }
                    Query::Log(log) => {
                        grants.reach(Verb::Logs, "v1", "Pod", Some(&log.pod.namespace)).map_err(refused)?;
                    }
                    Query::SecretKeys(name) => {
                        grants.reach(Verb::Keys, "v1", "Secret", Some(&name.namespace)).map_err(refused)?;
                    }
                    Query::Pod(_) => {}
                }
            }
        }
        Decision::Act(actions) => {
            for action in actions {
                act(action, &reach)?;
            }
        }
        Decision::Wait(wait) => {
            assert!(wait.deadline - request.now > 0);
            for watch in wait.watch {
                match watch {
                    Watch::Object(object) => drop(reach(Verb::Watch, &object)?),
                    Watch::Objects(of) => {
                        grants
                            .reach(Verb::Watch, &of.api_version, &of.kind, of.namespace.as_deref())
                            .map_err(refused)?;
                    }
                    Watch::Pod(_) => {}
                }
            }
        }
        Decision::Done(outcome) => outcome.iter().for_each(publish),
        Decision::Fail(_) => {}
    }
    Ok(())
}

fn act<'a>(
    action: Action,
    reach: &impl Fn(Verb, &ObjectRef) -> Result<steps::Reach<'a>, String>,
) -> Result<(), String> {
    let of = |manifest: &Value| ObjectRef {
        api_version: manifest["apiVersion"].as_str().unwrap_or_default().to_owned(),
        kind: manifest["kind"].as_str().unwrap_or_default().to_owned(),
        namespace: manifest["metadata"]["namespace"].as_str().map(str::to_owned),
        name: manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
    };
    let (verb, object, set) = match action {
        Action::Create(create) => (Verb::Create, of(&create.manifest), create.manifest),
        Action::Apply(apply) => (Verb::Apply, of(&apply.manifest), apply.manifest),
        Action::Patch(patch) => (Verb::Patch, patch.object, patch.body),
        Action::Delete(delete) => return reach(Verb::Delete, &delete.object).map(drop),
        Action::RunPod(run) => {
            run_pod(&run.spec);
            return Ok(());
        }
    };
    let reach = reach(verb, &object)?;
    for before in [None, Some(json!({"metadata": {"labels": "x"}, "spec": [1]}))] {
        let mut after = before.clone().unwrap_or_default();
        steps::merge_patch(&mut after, &set);
        let _ = reach.allows(verb, &set, before.as_ref(), &after);
        let _ = steps::has_marks(&set);
        let _ = steps::identity(&after);
        let _ = pod_policy::judge_change(&object, &set, before.as_ref(), &after, &pod_policy::UNBOUNDED);
    }
    Ok(())
}

fn pod_runs() -> Value {
    json!({"template": r#"{"spec":{"containers":[{"name":"c"}]}}"#, "backoff-limit": 2, "active-deadline": 60, "log-lines": 20,
        "data": "{}", "findings": [{"severity": "warning", "at": "/a", "message": "m"}]})
}

fn failure() -> Value {
    json!({"reason": "Because", "message": "m", "findings": [{"severity": "error", "at": "/a", "message": "m"}]})
}

fn outcome() -> Value {
    json!({"taken-at": NOW, "artifact": {"uri": "s3://b/k", "size-bytes": 7, "checksum": "sha256:00"}, "metadata": [["a", "1"]],
        "underlying-resources": r#"{"apiVersion":"v1","kind":"Pod"}"#, "private-data": "{}",
        "conditions": [{"type": "Archived", "status": true, "reason": "Because", "message": "m"}]})
}

fn decisions() -> Vec<Value> {
    let object = json!({"api-version": "v1", "kind": "Pod", "namespace": "tenant", "name": "p"});
    let selection = json!({"api-version": "v1", "kind": "Pod", "namespace": "tenant", "labels": "a=b"});
    let name = json!({"namespace": "tenant", "name": "p"});
    let manifest =
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"tenant"},"spec":{}}"#;
    let mut all = vec![
        json!({"wait": {"reason": "Because", "message": "m", "recheck-after": 5, "deadline": NOW + 900_000, "watch": [{"object": object}]}}),
        json!({"wait": {"reason": "Because", "message": "m", "recheck-after": 5, "deadline": NOW + 900_000, "watch": [{"objects": selection}]}}),
        json!({"done": outcome()}),
        json!({"fail": failure()}),
    ];
    let queries = [
        json!({"get": {"object": object, "live": true, "fields": ["/spec"]}}),
        json!({"list": {"objects": selection, "live": true, "fields": ["/spec"], "limit": 10}}),
        json!({"log": {"pod": name, "container": "c", "previous": true, "lines": 10}}),
        json!({"secret-keys": name}),
        json!({"pod": "probe"}),
    ];
    all.extend(queries.map(|query| json!({"observe": [query]})));
    let actions = [
        json!({"create": {"manifest": manifest, "dry-run": true}}),
        json!({"apply": {"manifest": manifest, "force": true}}),
        json!({"patch": {"object": object, "uid": "u", "resource-version": "1", "body": r#"{"spec":{"a":1}}"#}}),
        json!({"delete": {"object": object, "uid": "u", "resource-version": "1", "propagation": "orphan"}}),
        json!({"run-pod": {"name": "probe", "spec": pod_runs()}}),
    ];
    all.extend(actions.map(|action| json!({"act": [action]})));
    all
}

/// A component in steps that declares every verb on pods.
fn in_steps() -> Guest {
    Guest::resource().descriptor(|descriptor| {
        descriptor["access"] = json!([{"version": "v1", "kind": "Pod", "plural": "pods", "scope": "run", "fields": ["/spec"],
            "verbs": ["get", "list", "watch", "create", "dry-run", "apply", "patch", "delete", "logs"]}]);
    })
}

#[test]
fn every_wrong_answer_of_render_ends_with_a_reason_or_in_a_job() {
    let played = Played::new(Guest::pod());
    let answers = played.wrong("render", &[json!({"ok": pod_runs()}), json!({"err": failure()})]);
    let chosen = by_time(&played.guest, "render");
    let component = played.component("render", &answers, &chosen);
    let mut tally = Tally::default();
    for (i, answer) in answers.iter().enumerate() {
        tally.play(
            || answer.to_string(),
            || component.render(&at(i), None),
            |rendered| {
                rendered.iter().for_each(run_pod);
                Ok(())
            },
        );
    }
    tally.report("render", 500);
}

#[test]
fn every_wrong_answer_of_parse_ends_with_a_reason_or_in_a_backup() {
    let played = Played::new(Guest::pod());
    let answers = played.wrong("parse", &[json!({"ok": outcome()}), json!({"err": failure()})]);
    let chosen = by_time(&played.guest, "parse");
    let component = played.component("parse", &answers, &chosen);
    let mut tally = Tally::default();
    for (i, answer) in answers.iter().enumerate() {
        tally.play(
            || answer.to_string(),
            || component.parse(&at(i), &ended(true)),
            |parsed| {
                parsed.iter().for_each(publish);
                Ok(())
            },
        );
    }
    tally.report("parse", 1000);
}

#[test]
fn every_wrong_answer_of_step_ends_with_a_reason_or_is_carried_out() {
    let mut tally = Tally::default();
    let (checkpoint, events) = (
        json!({"stage": "gate", "data": "{}"}),
        json!([{"warning": true, "reason": "Because", "message": "m"}]),
    );
    let conditions = json!([{"type": "Archived", "status": true, "reason": "Because", "message": "m"}]);
    for (first, decision) in decisions().into_iter().enumerate() {
        let played = Played::new(in_steps());
        let base = json!({"checkpoint": checkpoint, "conditions": conditions, "events": events, "decision": decision});
        let mut answers = played.wrong("step", &[base]);
        if first > 0 {
            // The rest of an answer was played with the first decision.
            answers.retain(|answer| answer["decision"] != decision);
            let case = decision.as_object().unwrap().keys().next().unwrap();
            answers.retain(|answer| answer["decision"].get(case).is_some());
        }
        let chosen = by_time(&played.guest, "step");
        let component = played.component("step", &answers, &chosen);
        for (i, answer) in answers.iter().enumerate() {
            let request = at(i);
            tally.play(
                || answer.to_string(),
                || component.step(&request, &view()),
                |step| take(component.descriptor(), &request, step),
            );
        }
    }
    tally.report("step", 5000);
}

#[test]
fn every_wrong_answer_of_validate_ends_with_a_reason_or_in_a_finding() {
    let played = Played::new(Guest::pod());
    let answers = played.wrong("validate", &[json!([{"severity": "error", "at": "/a", "message": "m"}])]);
    // The length of the strategy, which is a text in quotes.
    let component = played.component("validate", &answers, "(i32.sub (local.get 5) (i32.const 2))");
    let kind = GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Guest".into() };
    let mut tally = Tally::default();
    for (i, answer) in answers.iter().enumerate() {
        let strategy = json!("x".repeat(i));
        tally.play(|| answer.to_string(), || component.validate(&kind, &strategy, None, None), |_| Ok(()));
    }
    tally.report("validate", 100);
}

#[test]
fn every_wrong_descriptor_is_refused_or_bounds_the_component() {
    let base = json!({"name": "guest", "version": "1.0.0", "kinds": [{"group": "strategy.backups.cozystack.io", "version": "v1alpha1",
        "kind": "Guest", "plural": "guests", "schema": r#"{"type":"object"}"#, "applications": [{"group": "apps", "kind": "App"}]}],
        "parameters-schema": "{}", "options-schema": "{}",
        "access": [{"group": "apps", "version": "v1", "kind": "Deployment", "plural": "deployments", "scope": {"named": "velero"},
            "verbs": ["get"], "fields": ["/spec"], "guards": [{"at": "/a", "value": "{namespace}"}]}],
        "namespaces": [["velero", "cozy-velero"]], "stages": [{"mode": "backup", "name": "gate", "about": "looks"}],
        "longest-run": 3600, "restores": [">=1"], "target-namespace-option": "namespace", "traits": ["restore"]});
    let probe = Played::new(Guest::resource());
    let answers = probe.wrong("describe", std::slice::from_ref(&base));
    let mut tally = Tally::default();
    // Each has to be compiled: every eleventh, which is a prime to the number of texts, and all that are no texts.
    let is_text = |answer: &Value| answer.to_string().contains("\"len\"");
    let chosen = answers.iter().enumerate().filter(|(i, answer)| !is_text(answer) || i % 11 == 0);
    for (_, answer) in chosen {
        let mut played = Played::new(Guest::resource());
        let at = played.guest.put("describe", answer);
        let bytes = played.guest.body("describe", format!("(i32.const {at})")).build();
        let begin = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| ENGINE.load(&bytes))) {
            Err(_) => panic!("the host panicked at {answer}"),
            Ok(Err(error)) => {
                assert!(!error.to_string().contains('\n'), "{error}");
                *tally.ended.entry(error.reason().to_owned()).or_default() += 1;
            }
            Ok(Ok(component)) => {
                let descriptor = component.descriptor();
                let _ = steps::unguarded(descriptor);
                for purge in [false, true] {
                    let _ = steps::rbac(descriptor, "backstay-system", purge);
                }
                tally.passed += 1;
            }
        }
        tally.slowest = tally.slowest.max(begin.elapsed());
    }
    assert!(tally.slowest < LONGEST, "{:?}", tally.slowest);
    tally.report("describe", 200);
}
