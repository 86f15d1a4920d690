//! The host's decoding of Jobs and pods, whose every part may be odd, on their way to a component.

#![allow(clippy::print_stdout, reason = "prints the number of inputs")]

use backstay_core::job::{PodRunNote, end, pod_result};
use backstay_core::pod_policy::{self, Allowed};
use backstay_fuzz::driver::{Plan, hex, run};
use backstay_fuzz::objects::job_and_pod;
use backstay_testing::Built;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

#[test]
fn a_job_and_its_pod_are_judged_whatever_is_in_them() {
    let component = Built::strategy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../strategies/job"));
    let request = component.backup().request().clone();
    let some = || Some(vec!["a*".to_owned()]);
    let allowed = Allowed { service_accounts: some(), secrets: some(), images: some() };
    let (mut decoded, mut judged) = (0, 0);
    let plan = Plan { seed: 20_260_101, count: 3000, at_most: None };
    let (fine, found) = run(plan, |bytes| {
        let (job, pod) = job_and_pod(bytes);
        for finding in pod_policy::check(&pod, &allowed) {
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
        let result = pod_result(&end, [&pod], note.data, |_, _| "log".to_owned());
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
