//! A guest of tests: a pod strategy that is broken in the way that its spec asks for, where it asks for it.

use std::hint::black_box;

use backstay_sdk::prelude::*;
use backstay_sdk::{Deserialize, Finding, Value, json};

/// Runs a pod that ends well at once, where no fault is asked for.
#[derive(Debug)]
pub struct Broken;

/// The spec of a `Broken`: which of its functions has which fault.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct BrokenSpec {
    /// What is wrong when a strategy is checked.
    #[schemars(with = "Option<String>")]
    pub validate: Option<Fault>,
    /// What is wrong when the pod is asked for.
    #[schemars(with = "Option<String>")]
    pub render: Option<Fault>,
    /// What is wrong when the pod has ended.
    #[schemars(with = "Option<String>")]
    pub parse: Option<Fault>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", crate = "backstay_sdk::serde")]
pub enum Fault {
    /// It panics.
    Traps,
    /// It runs for ever, and uses up its fuel.
    Loops,
    /// It runs for ever on little fuel, and uses up its time.
    Hangs,
    /// It holds more and more memory.
    Hoards,
    /// It calls itself without end.
    Recurses,
    /// Its answer breaks the contract.
    AnswersNonsense,
    /// Its answer is larger than it may be.
    AnswersTooMuch,
    /// It says why it cannot.
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

/// Each turn costs a few units of fuel and a way out of the sandbox and back: the wall clock is faster than the fuel.
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
