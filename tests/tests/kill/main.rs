//! The program itself, killed with SIGKILL at 20 moments. Alone in its test binary: it sees every namespace of the cluster.

use std::time::Duration;

use backstay_tests::faults::Theatre;

/// From before it is ready to after all is done, on a machine that is not busy.
const MOMENTS: u32 = 20;
const APART: Duration = Duration::from_millis(160);

#[test]
#[allow(clippy::print_stderr)]
fn a_program_killed_at_any_moment_leaves_nothing_undone_and_nothing_done_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let Some(theatre) = Theatre::open("kill").await else { return };
        let moments: Vec<_> = (1..=MOMENTS).map(|n| APART * n).collect();
        let (wrong, judged) = theatre.kill_at(&moments).await;
        eprintln!("{} kills, {judged} ends judged, {} broken", moments.len(), wrong.len());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
