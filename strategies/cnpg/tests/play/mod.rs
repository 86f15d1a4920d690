//! Plays one case: sets it up, wakes the run as often as the case has steps, and compares.

mod given;
mod trouble;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use backstay_testing::contract::{CancelCause, Outcome};
use backstay_testing::{Broken, Built, Drive, Turn, World};
use serde::Deserialize;
use serde_json::{Value, json};

use given::{Given, merge, object};
use trouble::{Pending, Trouble};

/// What must never be seen by tenants.
const SECRETS: [&str; 4] = ["annas-secret", "secret-of-b1", "stale-secret", "stale-id"];

/// A step of a case: something happens, the run is woken, something has come of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    /// Merge patches of objects, by kind and name; null deletes.
    #[serde(default)]
    world: BTreeMap<String, Value>,
    /// Seconds that pass first.
    #[serde(default)]
    after: i64,
    /// What goes wrong in the wake.
    #[serde(default)]
    trouble: Vec<Trouble>,
    /// The run shall end: `deleted` or `deadline`.
    cancel: Option<String>,
    /// The garbage collector passes first.
    #[serde(default)]
    collect: bool,
    /// The reason that the run waits for.
    waits: Option<String>,
    /// The reason that the run fails with.
    fails: Option<String>,
    /// The run is done; of a backup, with at least this outcome.
    done: Option<Value>,
    /// The host crashes.
    #[serde(default)]
    crashes: bool,
    /// What the message of the wait or the failure says.
    #[serde(default)]
    says: Vec<String>,
    /// Objects, at least so; null: there is none.
    #[serde(default)]
    objects: BTreeMap<String, Value>,
    /// Fields that an object does not have, by kind and name.
    #[serde(default)]
    lacks: BTreeMap<String, Vec<String>>,
    /// Objects that are as they were given.
    #[serde(default)]
    untouched: Vec<String>,
    /// How many objects of a kind there are.
    #[serde(default)]
    count: BTreeMap<String, usize>,
    /// Conditions of the run: `True/Reason`; null: there is none.
    #[serde(default)]
    conditions: BTreeMap<String, Option<String>>,
    /// Reasons of its Events.
    #[serde(default)]
    events: Vec<String>,
    /// Lines of the journal of the run, or parts of such, in this order.
    #[serde(default)]
    did: Vec<String>,
    /// What is in no line of the journal.
    #[serde(default)]
    did_not: Vec<String>,
    /// The run leaves its checkpoint to the next one on its target.
    leaves: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    /// What it is about, for people.
    #[allow(dead_code, reason = "for people")]
    about: String,
    #[serde(flatten)]
    given: Given,
    steps: Vec<Step>,
}

/// Plays the case in `folder`.
pub(crate) fn play(folder: &Path, show: bool) -> Result<(), String> {
    let text = std::fs::read_to_string(folder.join("case.yaml")).map_err(|e| e.to_string())?;
    let case: Case = serde_saphyr::from_str(&text).map_err(|e| format!("is no case: {e}"))?;
    static CNPG: OnceLock<Arc<Built>> = OnceLock::new();
    let cnpg = CNPG.get_or_init(|| Built::strategy(env!("CARGO_MANIFEST_DIR")));
    let pending: Pending = Rc::new(RefCell::new(Vec::new()));
    let mut run = case.given.run(cnpg, Rc::clone(&pending));
    let start = run.world.clone();
    let mut result = Ok(());
    for (at, step) in case.steps.iter().enumerate() {
        result = played(&mut run, step, &pending, &start, case.given.secrets_ok())
            .map_err(|cause| format!("step {}: {cause}", at + 1));
        if result.is_err() {
            break;
        }
    }
    if show {
        println!("{}\n  {}", folder.display(), run.journal().join("\n  "));
    }
    result.map_err(|cause| format!("{cause}\n  {}", run.journal().join("\n  ")))
}

fn played(
    run: &mut Drive<'_>,
    step: &Step,
    pending: &Pending,
    start: &World,
    secrets_ok: bool,
) -> Result<(), String> {
    run.world.advance(step.after);
    for (name, patch) in &step.world {
        given::change(&mut run.world, name, patch);
    }
    if step.collect {
        run.world.collect_garbage();
    }
    match step.cancel.as_deref() {
        None => {}
        Some("deleted") => run.cancel(CancelCause::Deleted),
        Some("deadline") => run.cancel(CancelCause::Deadline),
        Some(other) => return Err(format!("there is no cause {other}")),
    }
    pending.borrow_mut().extend(step.trouble.iter().cloned());
    let turn = run.try_wake().map_err(|Broken(rule)| format!("broke a rule: {rule}"))?;
    if let Some(left) = pending.borrow().first() {
        return Err(format!("the trouble {left:?} struck nothing"));
    }
    compare(step, &turn)?;
    if !secrets_ok {
        no_secret_is_seen(run, &turn)?;
    }
    state(run, step, start)
}

fn compare(step: &Step, turn: &Turn) -> Result<(), String> {
    let wanted = (&step.waits, &step.fails, &step.done, step.crashes);
    let message = match (turn, wanted) {
        (Turn::Waits(wait), (Some(reason), None, None, false)) if wait.reason == *reason => &wait.message,
        (Turn::Failed(failure), (None, Some(reason), None, false)) if failure.reason == *reason => {
            &failure.message
        }
        (Turn::Done(outcome), (None, None, Some(wanted), false)) => {
            let found = outcome.as_ref().map_or_else(|| json!({}), told);
            return match difference(&found, wanted, "outcome") {
                None => Ok(()),
                Some(difference) => Err(difference),
            };
        }
        (Turn::Crashed, (None, None, None, true)) => return Ok(()),
        (turn, wanted) => return Err(format!("came to {turn:?}, not to {wanted:?}")),
    };
    match step.says.iter().find(|text| !message.contains(*text)) {
        None => Ok(()),
        Some(text) => Err(format!("the message does not say {text:?}: {message}")),
    }
}

fn told(outcome: &Outcome) -> Value {
    json!({
        "takenAt": outcome.taken_at,
        "uri": outcome.artifact.as_ref().map(|a| &a.uri),
        "metadata": outcome.metadata,
        "underlyingResources": outcome.underlying_resources,
        "privateData": outcome.private_data,
    })
}

fn state(run: &Drive<'_>, step: &Step, start: &World) -> Result<(), String> {
    for (name, wanted) in &step.objects {
        let found = run.world.get(&object(name));
        match (found, wanted) {
            (None, Value::Null) => {}
            (Some(_), Value::Null) => return Err(format!("{name} is there")),
            (None, _) => return Err(format!("{name} is not there")),
            (Some(found), wanted) => {
                if let Some(difference) = difference(&found, wanted, name) {
                    return Err(difference);
                }
            }
        }
    }
    for (name, fields) in &step.lacks {
        let found = run.world.get(&object(name)).ok_or_else(|| format!("{name} is not there"))?;
        if let Some(field) = fields.iter().find(|f| found.pointer(f).is_some()) {
            return Err(format!("{name} has {field}"));
        }
    }
    if let Some(name) =
        step.untouched.iter().find(|name| run.world.get(&object(name)) != start.get(&object(name)))
    {
        return Err(format!(
            "{name} is not as it was: {:#}",
            run.world.get(&object(name)).unwrap_or_default()
        ));
    }
    for (kind, wanted) in &step.count {
        let of_kind = object(&format!("{kind}/x"));
        let found = run.world.all(&of_kind.api_version, kind).count();
        if found != *wanted {
            return Err(format!("there are {found} of {kind}, not {wanted}"));
        }
    }
    for (type_, wanted) in &step.conditions {
        let found = run.conditions().get(type_).map(|c| {
            let status = c.status.map_or("Unknown", |s| if s { "True" } else { "False" });
            format!("{status}/{}", c.reason)
        });
        if found != *wanted {
            return Err(format!("condition {type_} is {found:?}, not {wanted:?}"));
        }
    }
    if let Some(reason) = step.events.iter().find(|r| !run.events().iter().any(|e| e.reason == **r)) {
        return Err(format!("there is no Event {reason}"));
    }
    let mut lines = run.journal().iter();
    if let Some(text) = step.did.iter().find(|text| !lines.any(|line| line.contains(*text))) {
        return Err(format!("did not {text:?}, or not in this order"));
    }
    if let Some(text) = step.did_not.iter().find(|text| run.journal().iter().any(|line| line.contains(*text)))
    {
        return Err(format!("did {text:?}"));
    }
    match step.leaves {
        Some(leaves) if leaves != run.left().is_some() => Err(format!("leaves its checkpoint: {}", !leaves)),
        _ => Ok(()),
    }
}

/// The first place where `found` is not at least `wanted`. Lists are compared whole.
fn difference(found: &Value, wanted: &Value, at: &str) -> Option<String> {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().find_map(|(key, wanted)| {
            difference(found.get(key).unwrap_or(&Value::Null), wanted, &format!("{at}/{key}"))
        }),
        _ if found == wanted => None,
        _ => Some(format!("{at} is {found}, not {wanted}")),
    }
}

/// Whatever tenants can read is without passwords.
fn no_secret_is_seen(run: &Drive<'_>, turn: &Turn) -> Result<(), String> {
    let mut seen: Vec<String> = run.conditions().values().map(|c| c.message.clone()).collect();
    seen.extend(run.events().iter().map(|e| e.message.clone()));
    seen.push(match turn {
        Turn::Waits(wait) => wait.message.clone(),
        Turn::Failed(failure) => format!("{failure:?}"),
        Turn::Done(Some(outcome)) => {
            format!("{:?}{:?}{:?}", outcome.metadata, outcome.underlying_resources, outcome.conditions)
        }
        Turn::Done(None) | Turn::Crashed => String::new(),
    });
    match SECRETS.iter().find(|secret| seen.iter().any(|text| text.contains(*secret))) {
        None => Ok(()),
        Some(secret) => Err(format!("{secret} can be read by tenants")),
    }
}

/// As `merge`, of a fixture in a file of `base`.
fn patched(file: &str, patch: &Value) -> Value {
    let mut value: Value = serde_saphyr::from_str(&given::base(file)).unwrap();
    merge(&mut value, patch);
    value
}
