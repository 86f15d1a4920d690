//! The logs of recovery pods, which show whether PostgreSQL ran out of write-ahead logs before it reached its target.

use backstay_sdk::step::{Content, ListQuery, LogQuery, Look, Object, Query, ReadError, Stop, View};
use backstay_sdk::{NamespacedName, Value};

use crate::archiving;
use crate::cluster::{Cluster, deleting, name, text};
use crate::names::{Names, RECOVERY_CONTAINER};

/// The error message of PostgreSQL.
pub(crate) const SIGNATURE: &str = "recovery ended before configured recovery target was reached";
/// Number of newest pods whose logs are read, and number of lines of each.
const PODS: usize = 5;
const LINES: u32 = 200;

/// The result of reading the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// PostgreSQL gave up before its target in this pod.
    Unreachable(String),
    /// No such message was found. `forbidden`: a log may not be read.
    Unknown { forbidden: bool },
}

/// Reads the logs of the newest recovery pods of this Cluster.
///
/// # Errors
/// A question, or a wait for pods that cannot be listed.
pub(crate) fn verdict(
    look: &Look<'_>,
    view: &View,
    names: &Names,
    cluster: Cluster<'_>,
) -> Result<Verdict, Stop> {
    read(look, view, names, &newest(pods(look, names)?, cluster))
}

/// Reads the log of the newest recovery pod during a recovery. Only this pod counts, and only if it failed and no
/// other recovery pod of this Cluster runs, because the next try may succeed.
///
/// # Errors
/// As [`verdict`].
pub(crate) fn last_try(
    look: &Look<'_>,
    view: &View,
    names: &Names,
    cluster: Cluster<'_>,
) -> Result<Verdict, Stop> {
    let found = newest(pods(look, names)?, cluster);
    match found.first() {
        Some(newest) if found.iter().all(|pod| has_failed(pod)) => read(look, view, names, &[newest]),
        _ => Ok(Verdict::Unknown { forbidden: false }),
    }
}

fn pods<'a>(look: &Look<'a>, names: &Names) -> Result<&'a [Object], Stop> {
    Ok(look.list(all_pods(names))?.map(|l| l.items.as_slice()).unwrap_or_default())
}

/// Asks for what tells recovery pods from others, and how they ended.
fn all_pods(names: &Names) -> ListQuery {
    let fields = [
        "/metadata/creationTimestamp",
        "/metadata/deletionTimestamp",
        "/metadata/ownerReferences",
        "/spec/containers",
        "/status/containerStatuses",
        "/status/phase",
    ];
    archiving::pods_with(names, &fields)
}

fn read(look: &Look<'_>, view: &View, names: &Names, pods: &[&Value]) -> Result<Verdict, Stop> {
    let queries: Vec<LogQuery> = pods.iter().map(|pod| log_of(names, pod)).collect();
    look.all(queries.iter().cloned().map(Query::Log))?;
    let mut forbidden = false;
    for query in queries {
        let pod = query.pod.name.clone();
        match view.ask(Query::Log(query))? {
            Ok(Content::Log(text)) if text.contains(SIGNATURE) => return Ok(Verdict::Unreachable(pod)),
            Err(ReadError::Forbidden(_)) => forbidden = true,
            // A missing or empty log proves nothing.
            _ => {}
        }
    }
    Ok(Verdict::Unknown { forbidden })
}

/// Returns the newest recovery pods of this Cluster, newest first. They are found by the name of the Cluster, which an
/// earlier Cluster had too; pods of that one are older than this Cluster, or are being deleted.
fn newest<'a>(pods: &'a [Object], cluster: Cluster<'_>) -> Vec<&'a Value> {
    // Kubernetes writes RFC 3339 in UTC with whole seconds, so times sort as text.
    let made = |object: &'a Value| text(object, "/metadata/creationTimestamp");
    let since = text(cluster.0, "/metadata/creationTimestamp");
    let recovery = |pod: &&Value| {
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
        containers.into_iter().flatten().any(|c| c["name"] == RECOVERY_CONTAINER)
    };
    // Usually a Job of the operator owns the pod; if a Cluster does, its uid is the better proof.
    let of_another = |pod: &Value| {
        let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.into_iter().flatten().any(|o| o["kind"] == "Cluster" && o["uid"] != cluster.uid())
    };
    let its_own = |pod: &&'a Value| !deleting(pod) && made(pod) >= since && !of_another(pod);
    let mut found: Vec<&Value> = pods.iter().map(Object::value).filter(recovery).filter(its_own).collect();
    found.sort_by_key(|pod| std::cmp::Reverse((made(pod), name(pod))));
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
    use backstay_sdk::step::{Answer, ObjectList};

    fn cluster(second: u32) -> Value {
        json!({"metadata": {"uid": "cluster-2", "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")}})
    }

    fn pod(name: &str, container: &str, second: u32) -> Value {
        json!({
            "metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {"containers": [{"name": container}]},
        })
    }

    #[test]
    fn the_five_newest_recovery_pods_are_read_newest_first() {
        let recovery = (0..7).map(|i| pod(&format!("r{i}"), RECOVERY_CONTAINER, i));
        let pods: Vec<Object> = recovery.chain([pod("ordinary", "postgres", 30)]).map(Object::from).collect();
        let names: Vec<&str> = newest(&pods, Cluster(&cluster(0))).into_iter().map(name).collect();
        assert_eq!(names, ["r6", "r5", "r4", "r3", "r2"]);
    }

    #[test]
    fn pods_that_an_earlier_cluster_of_the_name_has_left_are_not_read() {
        let mut leaving = pod("leaving", RECOVERY_CONTAINER, 12);
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:13Z");
        let mut of_another = pod("of-another", RECOVERY_CONTAINER, 12);
        of_another["metadata"]["ownerReferences"] = json!([{"kind": "Cluster", "uid": "earlier"}]);
        let mut own = pod("own", RECOVERY_CONTAINER, 11);
        own["metadata"]["ownerReferences"] = json!([{"kind": "Cluster", "uid": "cluster-2"}]);
        let mut of_a_job = pod("of-a-job", RECOVERY_CONTAINER, 10);
        of_a_job["metadata"]["ownerReferences"] = json!([{"kind": "Job", "uid": "job"}]);
        let older = pod("older", RECOVERY_CONTAINER, 9);
        let pods = [leaving, of_another, own, of_a_job, older].map(Object::from);
        let names: Vec<&str> = newest(&pods, Cluster(&cluster(10))).into_iter().map(name).collect();
        assert_eq!(names, ["own", "of-a-job"]);
    }

    #[test]
    fn while_a_next_try_runs_a_failed_one_proves_nothing() {
        let phase = |name: &str, second: u32, phase: &str| {
            let mut pod = pod(name, RECOVERY_CONTAINER, second);
            pod["status"] = json!({"phase": phase, "containerStatuses": [{"restartCount": 0}]});
            pod
        };
        let says = |name: &str, text: &str| Answer {
            query: Query::Log(log_of(&Names::named("ns", "orders"), &phase(name, 0, ""))),
            value: Ok(Content::Log(text.to_owned())),
        };
        let verdict = |pods: Vec<Value>| {
            let names = Names::named("ns", "orders");
            let list = Answer {
                query: Query::List(all_pods(&names)),
                value: Ok(Content::Objects(ObjectList {
                    items: pods.into_iter().map(Into::into).collect(),
                    complete: true,
                })),
            };
            let answers = vec![list, says("r1", SIGNATURE), says("r2", "redo in progress")];
            let view = View { checkpoint: None, stage_since: 0, answers, results: Vec::new() };
            last_try(&Look::new(&view, 0, 10), &view, &names, Cluster(&cluster(0))).unwrap()
        };
        let unknown = Verdict::Unknown { forbidden: false };
        let first = phase("r1", 1, "Failed");
        assert_eq!(verdict(vec![first.clone()]), Verdict::Unreachable("r1".to_owned()));
        assert_eq!(verdict(vec![first.clone(), phase("r2", 2, "Running")]), unknown);
        assert_eq!(verdict(vec![first.clone(), phase("r2", 2, "Failed")]), unknown);
        // An older pod that still runs is a try as well.
        assert_eq!(verdict(vec![first, phase("r0", 0, "Running")]), unknown);
    }
}
