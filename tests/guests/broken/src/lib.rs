//! A guest of tests: a pod strategy with the fault that its spec asks for, in the function that it names.

use std::hint::black_box;

use backstay_sdk::prelude::*;
use backstay_sdk::{Deserialize, Finding, Value, json};

/// Runs a pod that succeeds at once, unless a fault is asked for.
#[derive(Debug)]
pub struct Broken;

/// The spec of a `Broken`: the fault of each function.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct BrokenSpec {
    /// Fault when a strategy is checked.
    #[schemars(with = "Option<String>")]
    pub validate: Option<Fault>,
    /// Fault when the pod is rendered.
    #[schemars(with = "Option<String>")]
    pub render: Option<Fault>,
    /// Fault when the result of the pod is parsed.
    #[schemars(with = "Option<String>")]
    pub parse: Option<Fault>,
}

/// The fault of a function.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", crate = "backstay_sdk::serde")]
pub enum Fault {
    /// Panics.
    Traps,
    /// Runs for ever, and uses up its fuel.
    Loops,
    /// Runs for ever on little fuel, and uses up its time.
    Hangs,
    /// Allocates more and more memory.
    Hoards,
    /// Calls itself without end.
    Recurses,
    /// Returns an answer that breaks the contract.
    AnswersNonsense,
    /// Returns an answer over the limit.
    AnswersTooMuch,
    /// Returns an error.
    Refuses,
}

impl Strategy for Broken {
    const NAME: &'static str = "broken";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind = Kind { group: "test.backstay.dev", version: "v1", kind: "Broken", plural: "brokens" };
    const TRAITS: Traits = Traits { restore: true, strategy_on_restore: true, ..Traits::NONE };
    const LONGEST_RUN: u32 = 600;
    type Spec = BrokenSpec;

    fn validate(check: &Check<'_, BrokenSpec>) -> Vec<Finding> {
        match check.spec.validate {
            None => Vec::new(),
            Some(fault) => vec![Finding::error("/strategy", happen(fault).message)],
        }
    }
}

impl PodStrategy for Broken {
    fn render(request: &Request<BrokenSpec>, _: Option<&Value>) -> Result<PodRun, Failure> {
        let pod = |template| Ok(PodRun { backoff_limit: 0, ..PodRun::new(template) });
        match request.spec()?.render {
            None => pod(json!({"spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                "name": "main", "image": "localhost/backstay-tools:1", "command": ["true"]}]}})),
            Some(Fault::AnswersNonsense) => pod(json!("a pod, I promise")),
            Some(Fault::AnswersTooMuch) => {
                pod(json!({"metadata": {"annotations": {"a": "a".repeat(2 << 20)}}}))
            }
            Some(fault) => Err(happen(fault)),
        }
    }

    fn parse(request: &Request<BrokenSpec>, _: &PodResult) -> Result<Outcome, Failure> {
        match request.spec()?.parse {
            None => Ok(Outcome::default()),
            Some(Fault::AnswersNonsense) => {
                let artifact = Artifact { uri: String::new(), size_bytes: Some(u64::MAX), checksum: None };
                let condition = Condition {
                    type_: "Not A Type".to_owned(),
                    status: None,
                    reason: String::new(),
                    message: String::new(),
                };
                Ok(Outcome { artifact: Some(artifact), conditions: vec![condition], ..Outcome::default() })
            }
            Some(fault) => Err(happen(fault)),
        }
    }
}

fn happen(fault: Fault) -> Failure {
    match fault {
        Fault::Traps => panic!("broken on purpose"),
        Fault::Loops => count_for_ever(),
        Fault::Hangs => wait_for_ever(),
        Fault::Hoards => hoard(),
        Fault::Recurses => Failure::new("Returned", recurse(1).to_string()),
        Fault::Refuses | Fault::AnswersNonsense | Fault::AnswersTooMuch => {
            Failure::new("TapeDriveOpen", "the drive is open; close it and create the run anew")
        }
    }
}

fn count_for_ever() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n + 1);
    }
}

/// Each round costs little fuel and a call of the host, so that the time ends before the fuel.
fn wait_for_ever() -> ! {
    loop {
        #[cfg(target_arch = "wasm32")]
        black_box(core::arch::wasm32::memory_grow::<0>(0));
        #[cfg(not(target_arch = "wasm32"))]
        std::thread::yield_now();
    }
}

fn hoard() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { black_box(recurse(depth + 1)) + 1 }
}

backstay_sdk::export_pod!(Broken);
