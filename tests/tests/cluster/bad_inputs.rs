//! Plays every row of the table of bad inputs, each in its own world.
//!
//! All rows run, several at a time, even if one fails. Each prints a line to standard error; the full messages go to
//! `backstay-tests-bad-inputs.txt` beside the controller's log. `BACKSTAY_BAD_INPUTS=id,id` plays only these rows.

mod check;
mod objects;
mod stage;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backstay_api::{BackupJob, Plan};
use backstay_tests::World;
use backstay_tests::bad_inputs::{Action, Check, Row, ScheduleRow, Table};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use stage::Stage;

/// Rows at a time. They mostly wait for the cluster, but other tests run beside them.
const AT_ONCE: usize = 8;

/// The result of a row.
struct Ended {
    id: String,
    /// Phase, reason and message that the row's object had last.
    seen: Seen,
    took: Duration,
    result: Result<(), String>,
}

/// Phase, reason and message of an object.
#[derive(Clone, Default)]
struct Seen {
    phase: String,
    reason: String,
    message: String,
}

#[tokio::test]
async fn bad_inputs_end_as_the_table_says_and_disturb_nothing_else() {
    let Some(witness) = World::new("bad-witness").await else { return };
    let table = Table::load();
    let only = std::env::var("BACKSTAY_BAD_INPUTS").ok();
    let wanted = |id: &str| only.as_ref().is_none_or(|only| only.split(',').any(|o| o == id));
    let over = Arc::new(AtomicBool::new(false));
    let witness = tokio::spawn(undisturbed(witness, over.clone()));
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut rows = JoinSet::new();
    // The slowest rows come first, so that none runs alone at the end.
    let mut order: Vec<Row> = table.rows.into_iter().filter(|row| wanted(&row.id)).collect();
    order.sort_by_key(|row| std::cmp::Reverse(row.within));
    for row in order {
        rows.spawn(in_turn(turns.clone(), row));
    }
    let schedules: Vec<_> =
        table.schedules.into_iter().filter(|row| row.is_bad() && wanted(&row.id)).collect();
    if !schedules.is_empty() {
        rows.spawn(async move { plans(schedules).await });
    }
    let (mut lines, mut broken, mut count) = (String::new(), Vec::new(), 0);
    while let Some(joined) = rows.join_next().await {
        for ended in joined.expect("a row reports what went wrong in it") {
            count += 1;
            let line = format!(
                "{:4} {:34} {:10} {:28} {:6.1} s",
                if ended.result.is_ok() { "ok" } else { "BAD" },
                ended.id,
                ended.seen.phase,
                ended.seen.reason,
                ended.took.as_secs_f64()
            );
            // A macro would print only if the test fails.
            let _ = writeln!(std::io::stderr(), "{line}");
            let _ = writeln!(lines, "{line}\n     {}", ended.seen.message);
            if let Err(why) = ended.result {
                broken.push(format!("{}: {why}", ended.id));
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    let made = witness.await.expect("runs of a world without bad inputs succeed all the while");
    let _ = writeln!(std::io::stderr(), "{count} rows; beside them {made} undisturbed backups");
    let path = std::env::temp_dir().join("backstay-tests-bad-inputs.txt");
    std::fs::write(path, lines).expect("the messages can be written");
    assert!(broken.is_empty(), "{} of {count} rows are broken:\n\n{}", broken.len(), broken.join("\n\n"));
}

/// Makes Backups in a sound world, one after another while the bad rows play elsewhere; returns their number.
async fn undisturbed(w: World, over: Arc<AtomicBool>) -> usize {
    w.script("sleep 5").await;
    let mut made = 0;
    while !over.load(Ordering::Relaxed) {
        made += 1;
        let name = format!("undisturbed-{made}");
        w.backup(&name).await;
        w.backup_succeeds(&name).await;
    }
    assert_eq!(w.jobs().await.len(), made, "each run has one Job");
    made
}

async fn in_turn(turns: Arc<Semaphore>, row: Row) -> Vec<Ended> {
    let _turn = turns.acquire_owned().await.expect("it is never closed");
    let id = row.id.clone();
    let begun = Instant::now();
    // In its own task, so that a panic ends this row only.
    let ended = tokio::spawn(happens(row)).await.unwrap_or_else(|panic| {
        let result = Err(format!("panicked: {panic}"));
        Ended { id, seen: Seen::default(), took: begun.elapsed(), result }
    });
    vec![ended]
}

async fn happens(row: Row) -> Ended {
    let world = World::new(&format!("bad-{}", row.id)).await.expect("the cluster was there before");
    let begun = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(row.within);
    let mut stage = Stage::new(&world, deadline);
    let result = all(&mut stage, &row).await;
    let took = begun.elapsed();
    stage.clear(&row.after).await;
    Ended { id: row.id, seen: stage.seen, took, result }
}

async fn all(stage: &mut Stage<'_>, row: &Row) -> Result<(), String> {
    stage.given(&row.given).await.map_err(|e| format!("given: {e}"))?;
    for action in &row.when {
        stage.act(action).await.map_err(|e| format!("when {}: {e}", name_of(action)))?;
    }
    let mut wrong = Vec::new();
    for check in &row.then {
        if let Err(why) = stage.check(check).await {
            wrong.push(format!("then {}: {why}", name_of_check(check)));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n  ")) }
}

fn name_of(action: &Action) -> String {
    match action {
        Action::Until(check) => format!("until {}", name_of_check(check)),
        other => word(&format!("{other:?}")),
    }
}

fn name_of_check(check: &Check) -> String {
    match check {
        Check::Content(content) => format!("content of {}/{}", content.of.kind, content.of.name),
        other => word(&format!("{other:?}")),
    }
}

/// Returns the name of an enum's variant, from its debug form.
fn word(text: &str) -> String {
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase()
}

/// Creates a Plan for each invalid schedule, and checks that its message is right and nothing fires.
async fn plans(rows: Vec<ScheduleRow>) -> Vec<Ended> {
    let w = World::new("bad-schedules").await.expect("the cluster was there before");
    let begun = Instant::now();
    for row in &rows {
        let zone = row.time_zone.as_ref().map_or(json!({}), |zone| json!({ "timeZone": zone }));
        w.plan(&row.id, &row.cron, zone).await;
    }
    let mut ended = Vec::new();
    for row in rows {
        let plan: Plan = w
            .until(&row.id, "marked as invalid", |plan: &Plan| {
                plan.status
                    .iter()
                    .flat_map(|s| &s.conditions)
                    .any(|c| c.type_ == "Error" && c.status == "True")
            })
            .await;
        let status = plan.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready").cloned();
        let seen = ready.map(|c| Seen { phase: "-".to_owned(), reason: c.reason, message: c.message });
        let seen = seen.unwrap_or_default();
        let result = match seen.reason.as_str() {
            "InvalidCron" => row.says(&seen.message),
            other => Err(format!("reason {other:?}, not InvalidCron")),
        };
        ended.push(Ended { id: row.id, seen, took: begun.elapsed(), result });
    }
    let fired = w.api::<BackupJob>().list(&ListParams::default()).await.expect("a list").items;
    assert!(
        fired.is_empty(),
        "a bad schedule fired: {:?}",
        fired.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    );
    ended
}
