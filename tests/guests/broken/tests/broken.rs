//! The broken guest in the sandbox: each fault gets its error.

use backstay_testing::Built;

const APPLICATION: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: tenant-a}
";

fn strategy(spec: &str) -> String {
    format!("{{apiVersion: test.backstay.dev/v1, kind: Broken, spec: {{{spec}}}}}")
}

#[test]
fn without_a_fault_it_runs_a_pod() {
    let broken = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let run = broken.backup().strategy(&strategy("")).application(APPLICATION).rendered();
    assert_eq!(run.template["spec"]["containers"][0]["command"][0], "true");
    let outcome = broken.backup().strategy(&strategy("")).application(APPLICATION).parsed("succeeded: true");
    assert!(outcome.artifact.is_none());
}

#[test]
fn each_fault_ends_the_call_with_its_own_reason() {
    let broken = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    for (fault, reason) in [
        ("traps", "StrategyTrapped"),
        ("loops", "StrategyOutOfFuel"),
        ("hangs", "StrategyTimedOut"),
        ("hoards", "StrategyOutOfMemory"),
        ("recurses", "StrategyStackExhausted"),
        ("answers-nonsense", "StrategyBadAnswer"),
        ("answers-too-much", "StrategyOutputTooLarge"),
    ] {
        let strategy = strategy(&format!("render: {fault}"));
        let called = broken.backup().strategy(&strategy).application(APPLICATION).call_render();
        let error = called.err().unwrap_or_else(|| panic!("{fault} has an answer"));
        assert_eq!(error.reason(), reason, "{fault}");
    }
}

#[test]
fn a_refusal_is_an_answer() {
    let broken = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let strategy = strategy("render: refuses");
    let failure = broken.backup().strategy(&strategy).application(APPLICATION).refused();
    assert_eq!(failure.reason, "TapeDriveOpen");
}
