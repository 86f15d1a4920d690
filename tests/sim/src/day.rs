//! A day in which nothing goes wrong: what a simulated day costs.

use std::time::Duration;

use backstay_tests::model::runtime;
use devcluster::client::{Client as _, text};
use serde_json::json;
use tokio::time::Instant;

use crate::base::Base;
use crate::order;
use crate::people::{all, ours};
use crate::plan::{APPS, App, Class, Kept, Network, Plan, TENANTS};
use crate::play::Play;

/// What a day cost.
pub struct Day {
    /// Runs that the Plans began.
    pub runs: usize,
    /// Runs that succeeded.
    pub succeeded: usize,
    /// Calls of the controller, and answers.
    pub events: u64,
}

/// Plays a day of so many Plans, each of which backs up once, by a Job, at a time of its own.
///
/// # Panics
/// The API server refuses a Plan.
#[must_use]
pub fn day(base: &Base, plans: usize) -> Day {
    order::of_play(0);
    let runtime = runtime();
    runtime.block_on(async {
        let mut play = Play::begin(base, quiet(), Kept::All, false);
        for number in 0..plans {
            let app = App { tenant: number % TENANTS, number: number / TENANTS % APPS };
            let minute = number * 24 * 60 / plans.max(1);
            let plan = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Plan",
                "metadata": {"name": format!("daily-{number}")}, "spec": {
                    "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": app.name()},
                    "backupClassName": Class::Job.name(),
                    "schedule": {"type": "cron", "cron": format!("{} {} * * *", minute % 60, minute / 60)}}});
            play.admin.create(&ours(&app.namespace(), "plans"), plan).await.expect("a Plan");
        }
        play.pass_until(Instant::now() + Duration::from_hours(24)).await;
        let runs = all(&play.admin, "backupjobs").await;
        let succeeded = runs.iter().filter(|run| text(run, "/status/phase") == "Succeeded").count();
        Day { runs: runs.len(), succeeded, events: play.weather.trace.digest().1 }
    })
}

/// A plan without any trouble.
fn quiet() -> Plan {
    let network = Network { calls: 0, events: 0, deaths: 0, latency: Duration::ZERO, until: Duration::ZERO };
    Plan { seed: 0, apps: Vec::new(), controllers: 1, acts: Vec::new(), network, long: false, bad_pods: 0 }
}
