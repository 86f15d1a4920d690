//! Random sequences, sent both to the server of this crate and to a real one.
//!
//! Needs `KUBECONFIG` of a kube-apiserver without controllers that may be thrown away: `make fidelity`, in docs/testing.md.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::server::Real;
use super::{compare, player, random};

/// How many sequences a real server plays at once.
const AT_ONCE: usize = 24;

/// Which seeds, and what becomes of them.
struct Asked {
    first: u64,
    count: u64,
    /// Where the sequences are written with the answers of the real server.
    record: Option<String>,
    /// How many that differ are shrunk.
    shrink: usize,
}

fn asked() -> Asked {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    Asked {
        first: number("SEQUENCES_FROM").unwrap_or(0),
        count: number("SEQUENCES_SEEDS").unwrap_or(200),
        record: std::env::var("SEQUENCES_RECORD").ok(),
        shrink: number("SEQUENCES_SHRINK").and_then(|count| usize::try_from(count).ok()).unwrap_or(5),
    }
}

impl Asked {
    /// The sequences of the seeds, or those of a file.
    fn sequences(&self) -> Box<dyn Iterator<Item = Value>> {
        match std::env::var("SEQUENCES_FILE") {
            Err(_) => Box::new((self.first..self.first + self.count).map(random::sequence)),
            Ok(file) => {
                let text = std::fs::read(file).expect("a file of sequences");
                let document = super::json::parse(&text).expect("sequences");
                let sequences = document["sequences"].as_array().cloned().expect("sequences");
                Box::new(sequences.into_iter())
            }
        }
    }
}

/// A sequence, what was answered by this crate and by the real server.
struct Played {
    sequence: Value,
    real: Vec<Value>,
    differences: Vec<(usize, Vec<String>)>,
    /// What this crate does not model: the step that asks for it and those after it are not played.
    refused: Option<String>,
}

#[test]
#[ignore = "needs a real server: make fidelity"]
fn random_sequences_are_answered_as_by_a_real_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(run(asked()));
}

async fn run(asked: Asked) {
    let document = super::document("sequences.json");
    let real = Real::connect(&document).await;
    let (document, real) = (&document, &real);
    let plays = stream::iter(asked.sequences().enumerate()).map(|(number, sequence)| async move {
        let first = both(real, number, document, sequence).await;
        if first.differences.is_empty() {
            return (first, None);
        }
        // A real server does not always do the same: what does not come again is told, and counted for itself.
        let again = both(real, 10_000_000 + number, document, first.sequence.clone()).await;
        if again.differences.is_empty() { (again, Some(first)) } else { (first, None) }
    });
    let mut refusals = BTreeMap::<String, usize>::new();
    let mut plays = plays.buffered(AT_ONCE);
    let (mut steps, mut codes, mut broken, mut kept) =
        (0, BTreeMap::<u64, usize>::new(), Vec::new(), Vec::new());
    let mut unsteady = 0;
    let mut count = 0;
    while let Some((played, once)) = plays.next().await {
        count += 1;
        if count % 500 == 0 {
            eprintln!("{count} sequences so far, {} differ", broken.len());
        }
        if let Some(once) = once {
            unsteady += 1;
            eprintln!("only once:");
            tell(&once);
        }
        steps += played.real.len();
        for answer in &played.real {
            *codes.entry(answer["code"].as_u64().unwrap_or(0)).or_default() += 1;
        }
        tell(&played);
        if let Some(refused) = &played.refused {
            *refusals.entry(refused.clone()).or_default() += 1;
        }
        if !played.differences.is_empty() {
            broken.push(played.sequence);
        } else if asked.record.is_some() {
            kept.push(answered(&played));
        }
    }
    let shrunk = stream::iter(broken.iter().take(asked.shrink).enumerate())
        .then(|(at, sequence)| shrink(real, at, document, sequence.clone()));
    let shrunk: Vec<Value> = shrunk.collect().await;
    for sequence in &shrunk {
        eprintln!("SHRUNK {}", sequence["name"]);
        for step in sequence["steps"].as_array().into_iter().flatten() {
            eprintln!("    {step}");
        }
    }
    if let Some(file) = &asked.record {
        kept.extend(shrunk);
        std::fs::write(file, written(document, &kept)).expect("a file of sequences");
    }
    for (refused, count) in &refusals {
        eprintln!("REFUSED {count} times: {refused}");
    }
    let codes: Vec<String> = codes.iter().map(|(code, count)| format!("{code}: {count}")).collect();
    eprintln!(
        "{count} sequences, {steps} steps, {} differ, {unsteady} only once; answers by code: {}",
        broken.len(),
        codes.join(", ")
    );
    assert!(broken.is_empty(), "{} of {count} sequences differ", broken.len());
}

/// Plays a sequence against both. How many events a watch gives is known from the server of this crate; one too many of the
/// real one is seen all the same.
async fn both(real: &Real, number: usize, document: &Value, mut sequence: Value) -> Played {
    let mut model = model(document, &sequence).await;
    // What this crate refuses to do is counted; what comes after cannot be compared.
    let mut refused = None;
    if let Some(at) = model.iter().position(|answer| answer["code"] == 501) {
        refused = model[at]["body"]["message"].as_str().map(str::to_owned);
        sequence["steps"].as_array_mut().expect("steps").truncate(at);
        model = self::model(document, &sequence).await;
    }
    let steps = sequence["steps"].as_array_mut().expect("steps");
    for (step, answer) in steps.iter_mut().zip(&model) {
        if let Some(events) = answer["events"].as_array() {
            step["events"] = events.len().into();
        }
    }
    let answers = player::play_real(real.clone(), number, document, &sequence).await;
    let compared = answers.iter().zip(&model).enumerate();
    let differences = compared
        .map(|(at, (real, model))| (at + 1, compare::differences(&steadied(real), &steadied(model))))
        .filter(|(_, differences)| !differences.is_empty())
        .collect();
    Played { sequence, real: answers, differences, refused }
}

/// An answer without what depends on chance in the real server. It looks at the fields of a map of what is applied in the order of
/// a Go map, and no further than the first that the schema lacks: which other faults it tells is chance.
fn steadied(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(Value::String(message)) = answer.pointer_mut("/body/message")
        && message.starts_with("failed to create typed patch object (")
        && message.contains(": field not declared in schema")
        && let Some(end) = message.find("):")
    {
        message.truncate(end + 2);
    }
    answer
}

/// The answers of this crate.
async fn model(document: &Value, sequence: &Value) -> Vec<Value> {
    let (document, sequence) = (document.clone(), sequence.clone());
    let play = tokio::task::spawn_blocking(move || player::play(&document, &sequence));
    play.await.expect("no panic")
}

fn tell(played: &Played) {
    for (step, differences) in played.differences.iter().take(1) {
        let request = &played.sequence["steps"][step - 1];
        eprintln!("{}: step {step}: {request}", played.sequence["name"].as_str().unwrap_or_default());
        for difference in differences.iter().take(6) {
            eprintln!("{}: step {step}: {difference}", played.sequence["name"].as_str().unwrap_or_default());
        }
    }
}

/// The sequence with the answers of the real server.
fn answered(played: &Played) -> Value {
    let mut sequence = played.sequence.clone();
    let steps = sequence["steps"].as_array_mut().expect("steps");
    for (step, answer) in steps.iter_mut().zip(&played.real) {
        step["answer"] = answer.clone();
    }
    sequence
}

/// Leaves out each step that is not needed for a difference; returns what is left, with the answers of the real server.
async fn shrink(real: &Real, number: usize, document: &Value, sequence: Value) -> Value {
    let mut number = 1_000_000 * (number + 1);
    let mut last = both(real, number, document, sequence).await;
    // What follows the first difference is of no account.
    let first = last.differences.first().map_or(0, |(step, _)| *step);
    let mut steps = last.sequence["steps"].as_array().cloned().unwrap_or_default();
    steps.truncate(first);
    let wanted = last.differences.first().map(|(_, differences)| places(differences)).unwrap_or_default();
    let mut at = steps.len().saturating_sub(1);
    while at > 0 {
        at -= 1;
        let mut fewer = last.sequence.clone();
        let mut left = steps.clone();
        left.remove(at);
        fewer["steps"] = left.clone().into();
        number += 1;
        let played = both(real, number, document, fewer).await;
        let same =
            |(step, differences): &(usize, Vec<String>)| *step == left.len() && places(differences) == wanted;
        if closed(&left) && played.differences.first().is_some_and(same) {
            steps = left;
            last = played;
        }
    }
    last.sequence["steps"] = steps.into();
    answered(&last)
}

/// Where answers differ.
fn places(differences: &[String]) -> Vec<String> {
    differences.iter().map(|one| one.split(": ").next().unwrap_or_default().to_owned()).collect()
}

/// Whether every watch that is read was opened.
fn closed(steps: &[Value]) -> bool {
    steps
        .iter()
        .filter_map(|step| step["read"].as_str())
        .all(|read| steps.iter().any(|step| step["watch"] == read))
}

/// A file of sequences with one line for each step, so that a change of one answer is one line of a diff.
fn written(document: &Value, sequences: &[Value]) -> String {
    let mut out = format!(
        "{{\n \"recorded\": \"kube-apiserver 1.34.4\",\n \"crds\": {},\n \"sequences\": [",
        document["crds"]
    );
    for (at, sequence) in sequences.iter().enumerate() {
        let mut head = sequence.clone();
        let steps = head.as_object_mut().and_then(|head| head.remove("steps")).unwrap_or_else(|| json!([]));
        let head = head.to_string();
        let steps: Vec<String> =
            steps.as_array().into_iter().flatten().map(|step| format!("   {step}")).collect();
        let comma = if at == 0 { "" } else { "," };
        out.push_str(&format!(
            "{comma}\n  {}, \"steps\": [\n{}\n  ]}}",
            head.strip_suffix('}').unwrap_or(&head),
            steps.join(",\n")
        ));
    }
    out.push_str("\n ]\n}\n");
    out
}
