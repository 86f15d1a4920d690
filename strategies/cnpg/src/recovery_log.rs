//! What the logs of recovery pods say: whether PostgreSQL ran out of write-ahead logs before it came to its target.

use backstay_sdk::step::{Content, LogQuery, Look, Query, ReadError, Stop, View};
use backstay_sdk::{NamespacedName, Value};

use crate::archiving;
use crate::cluster::{name, text};
use crate::names::{Names, RECOVERY_CONTAINER};

/// PostgreSQL's own words.
pub(crate) const SIGNATURE: &str = "recovery ended before configured recovery target was reached";
/// So many pods are looked at, the newest; so many lines of each.
const PODS: usize = 5;
const LINES: u32 = 200;

/// What the logs say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In this pod PostgreSQL gave up before it came to its target.
    Unreachable(String),
    /// Nothing of the kind; whether a log may not be read.
    Unknown { forbidden: bool },
}

/// What the logs of the newest recovery pods say; `failed` asks only those that have ended badly.
///
/// # Errors
/// A question, or a wait for pods that cannot be listed.
pub(crate) fn verdict(look: &Look<'_>, view: &View, names: &Names, failed: bool) -> Result<Verdict, Stop> {
    let list = look.list(archiving::instances(names))?;
    let pods = list.map(|l| l.items.as_slice()).unwrap_or_default();
    let queries: Vec<LogQuery> = newest(pods, failed).into_iter().map(|pod| log_of(names, pod)).collect();
    look.all(queries.iter().cloned().map(Query::Log))?;
    let mut forbidden = false;
    for query in queries {
        let pod = query.pod.name.clone();
        match view.ask(Query::Log(query))? {
            Ok(Content::Log(text)) if text.contains(SIGNATURE) => return Ok(Verdict::Unreachable(pod)),
            Err(ReadError::Forbidden(_)) => forbidden = true,
            // A log that is gone or empty says nothing.
            _ => {}
        }
    }
    Ok(Verdict::Unknown { forbidden })
}

/// The newest pods in which a recovery runs or ran, newest first.
fn newest(pods: &[Value], failed: bool) -> Vec<&Value> {
    let recovery = |pod: &&Value| {
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
        containers.into_iter().flatten().any(|c| c["name"] == RECOVERY_CONTAINER)
    };
    let ended_badly = |pod: &&Value| !failed || has_failed(pod);
    let mut found: Vec<&Value> = pods.iter().filter(recovery).filter(ended_badly).collect();
    // RFC 3339 in UTC with whole seconds, as Kubernetes writes it, sorts as text.
    found.sort_by_key(|pod| std::cmp::Reverse((text(pod, "/metadata/creationTimestamp"), name(pod))));
    found.truncate(PODS);
    found
}

fn has_failed(pod: &Value) -> bool {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let restarted = statuses.into_iter().flatten().any(|s| s["restartCount"].as_u64().is_some_and(|n| n > 0));
    restarted || !["Pending", "Running", "Succeeded"].contains(&text(pod, "/status/phase"))
}

fn log_of(names: &Names, pod: &Value) -> LogQuery {
    LogQuery {
        pod: NamespacedName { namespace: names.namespace.clone(), name: name(pod).to_owned() },
        container: RECOVERY_CONTAINER.to_owned(),
        previous: false,
        lines: LINES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_sdk::json;

    fn pod(name: &str, container: &str, second: u32) -> Value {
        json!({
            "metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {"containers": [{"name": container}]},
        })
    }

    #[test]
    fn the_five_newest_recovery_pods_are_read_newest_first() {
        let mut pods: Vec<Value> = (0..7).map(|i| pod(&format!("r{i}"), RECOVERY_CONTAINER, i)).collect();
        pods.push(pod("ordinary", "postgres", 30));
        let names: Vec<&str> = newest(&pods, false).into_iter().map(name).collect();
        assert_eq!(names, ["r6", "r5", "r4", "r3", "r2"]);
    }

    #[test]
    fn a_recovery_that_still_runs_has_not_failed() {
        let mut running = pod("r", RECOVERY_CONTAINER, 1);
        running["status"] = json!({"phase": "Running", "containerStatuses": [{"restartCount": 0}]});
        assert!(newest(&[running.clone()], true).is_empty());
        running["status"]["containerStatuses"][0]["restartCount"] = json!(1);
        assert_eq!(newest(&[running], true).len(), 1);
    }
}
