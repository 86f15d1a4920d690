//! The program, killed with SIGKILL at 20 moments. Alone in its test binary, since it sees every namespace of the cluster.

use backstay_tests::faults::Harness;

/// Number of kills, from the program's start to after its last work.
const MOMENTS: u32 = 20;
/// Fewest runs killed before they began, and fewest in progress, for the moments to mean anything.
const BEFORE: usize = 9;
const MIDWAY: usize = 9;

#[test]
#[allow(clippy::print_stderr)]
fn a_program_killed_at_any_moment_leaves_nothing_undone_and_nothing_done_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let Some(harness) = Harness::open("kill").await else { return };
        let struck = harness.kill_at(MOMENTS).await;
        let (before, midway, over) = (struck.before, struck.midway, struck.over);
        eprintln!(
            "{MOMENTS} kills, a run left alone takes {} ms: {before} runs had not begun, {midway} were midway, {over} had ended; {} broken",
            struck.undisturbed.as_millis(),
            struck.wrong.len()
        );
        assert!(struck.wrong.is_empty(), "{}", struck.wrong.join("\n"));
        assert!(
            before >= BEFORE && midway >= MIDWAY,
            "of the runs {before} were struck before they began and {midway} midway, at least {BEFORE} and {MIDWAY} must be"
        );
    });
}
