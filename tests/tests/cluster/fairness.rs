//! What one tenant or one run may cost the others (docs/decisions/0018-shares-and-budgets.md).

use std::collections::BTreeMap;
use std::time::Duration;

use backstay_api::{BackupJob, phase};
use backstay_tests::World;
use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;
use kube::api::{WatchEvent, WatchParams};
use serde_json::json;

/// Runs that wait for one application.
const WAITING: usize = 60;
/// Status writes that a run may have, however many wait.
const STATUS_WRITES: usize = 6;

#[tokio::test]
async fn t14_runs_that_wait_for_one_application_have_few_status_writes_however_many_they_are() {
    let Some(w) = World::new("t14").await else { return };
    w.script("true").await;
    let runs = w.api::<BackupJob>();
    let watch = runs.watch(&WatchParams::default().timeout(120), "0").await.expect("a watch");
    let created = stream::iter(0..WAITING).map(|n| {
        w.create::<BackupJob>(json!({"metadata": {"name": format!("run-{n}")}, "spec": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "nothing"},
            "backupClassName": w.namespace}}))
    });
    created.buffer_unordered(16).for_each(|_| async {}).await;

    let (mut writes, mut ended) = (BTreeMap::<String, usize>::new(), 0);
    let counted = async {
        futures::pin_mut!(watch);
        while let Some(event) = watch.try_next().await.expect("the watch goes on") {
            let WatchEvent::Modified(run) = event else { continue };
            *writes.entry(run.name_any()).or_default() += 1;
            let now = run.status.as_ref().and_then(|status| status.phase.as_deref());
            ended += usize::from(phase::is_terminal(now));
            if ended == WAITING {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(90), counted).await.expect("all runs end");
    let most = writes.values().max().copied().unwrap_or_default();
    assert!(most <= STATUS_WRITES, "{most} writes of one run: {writes:?}");
}
