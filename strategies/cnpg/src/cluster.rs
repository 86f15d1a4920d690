//! A Cluster of CloudNativePG, as far as the strategy reads it.

use backstay_sdk::Value;
use backstay_sdk::step::GetQuery;

use crate::names::{Names, PLUGIN};
use crate::time::Instant;

/// What the strategy reads of a Cluster besides its identity: an eighth of it. Every question names the same fields, so that a
/// wake reads a Cluster as often as if all asked for the whole.
const FIELDS: [&str; 5] = [
    "/spec/bootstrap/recovery",
    "/spec/externalClusters",
    "/spec/plugins",
    "/status/pgDataImageInfo/majorVersion",
    "/status/phase",
];
/// The exact phase of a healthy Cluster.
const HEALTHY: &str = "Cluster in healthy state";

/// Asks for the Cluster from the host's cache.
pub(crate) fn cached(names: &Names) -> GetQuery {
    GetQuery { object: names.cluster(), live: false, fields: FIELDS.map(str::to_owned).into() }
}

/// Asks for the Cluster as the API server has it now.
pub(crate) fn live(names: &Names) -> GetQuery {
    GetQuery { live: true, ..cached(names) }
}

/// Returns what is at `pointer`. Half of the fuel of [`Value::pointer`] is spent on escapes and indexes, which few pointers have.
pub(crate) fn at<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.contains('~') {
        return object.pointer(pointer);
    }
    pointer.split('/').skip(1).try_fold(object, |value, key| value.get(key))
}

/// Returns the text at `pointer`, empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the uid of an object.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether an object is being deleted.
pub(crate) fn deleting(object: &Value) -> bool {
    at(object, "/metadata/deletionTimestamp").is_some_and(|t| !t.is_null())
}

/// Returns the name of an object.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// A view of a Cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster<'a>(pub(crate) &'a Value);

impl<'a> Cluster<'a> {
    pub(crate) fn uid(self) -> &'a str {
        uid(self.0)
    }

    pub(crate) fn deleting(self) -> bool {
        deleting(self.0)
    }

    /// Whether it is healthy and not being deleted.
    pub(crate) fn healthy(self) -> bool {
        !self.deleting() && self.phase() == HEALTHY
    }

    pub(crate) fn phase(self) -> &'a str {
        text(self.0, "/status/phase")
    }

    /// Returns its plugins.
    pub(crate) fn plugins(self) -> &'a [Value] {
        at(self.0, "/spec/plugins").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Returns the entry of the archiving plugin.
    pub(crate) fn plugin(self) -> Option<&'a Value> {
        self.plugins().iter().find(|p| p["name"] == PLUGIN)
    }

    /// Returns the server name under which the Cluster archives, if it archives: that of its plugin entry, or by
    /// default its own name.
    pub(crate) fn server_name(self) -> Option<&'a str> {
        let named = text(self.plugin()?, "/parameters/serverName");
        Some(if named.is_empty() { name(self.0) } else { named })
    }

    /// Whether recovery created it.
    pub(crate) fn recovered(self) -> bool {
        at(self.0, "/spec/bootstrap/recovery").is_some_and(Value::is_object)
    }

    /// Returns the name of its recovery source.
    pub(crate) fn source(self) -> &'a str {
        text(self.0, "/spec/bootstrap/recovery/source")
    }

    /// Returns the server name of its recovery source in the archive.
    pub(crate) fn source_server(self) -> Option<&'a str> {
        let clusters = at(self.0, "/spec/externalClusters")?.as_array()?;
        let source = clusters.iter().find(|c| c["name"] == self.source())?;
        Some(text(source, "/plugin/parameters/serverName")).filter(|n| !n.is_empty())
    }

    /// Whether it recovers from `server` up to `target`; `None` is the end of the archive.
    pub(crate) fn recovers(self, server: &str, target: Option<Instant>) -> bool {
        let time = text(self.0, "/spec/bootstrap/recovery/recoveryTarget/targetTime");
        let same_time = match target {
            None => time.is_empty(),
            Some(instant) => time.parse() == Ok(instant),
        };
        self.recovered()
            && self.source() == server
            && same_time
            && self.source_server().is_none_or(|s| s == server)
    }

    /// Returns the major version of PostgreSQL that it runs, if known.
    pub(crate) fn major_version(self) -> Option<u64> {
        at(self.0, "/status/pgDataImageInfo/majorVersion").and_then(Value::as_u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_sdk::json;

    fn recovery(source: &str, time: Option<&str>) -> Value {
        let mut cluster = json!({
            "metadata": {"name": "postgres-orders", "uid": "u"},
            "spec": {"bootstrap": {"recovery": {"source": source}}},
        });
        if let Some(time) = time {
            cluster["spec"]["bootstrap"]["recovery"]["recoveryTarget"] = json!({"targetTime": time});
        }
        cluster
    }

    #[test]
    fn a_recovery_is_known_by_its_source_and_its_target_however_that_is_written() {
        let at: Instant = "2026-01-31T10:15:00Z".parse().unwrap();
        let timed = recovery("s1", Some("2026-01-31T10:15:00Z"));
        assert!(Cluster(&timed).recovers("s1", Some(at)));
        assert!(!Cluster(&timed).recovers("s1", None));
        assert!(!Cluster(&timed).recovers("s2", Some(at)));
        let latest = recovery("s1", None);
        assert!(Cluster(&latest).recovers("s1", None) && !Cluster(&latest).recovers("s1", Some(at)));
        assert!(!Cluster(&json!({"spec": {"bootstrap": {"initdb": {}}}})).recovers("", None));
    }

    #[test]
    fn a_plugin_without_a_server_name_archives_under_the_name_of_the_cluster() {
        let mut cluster =
            json!({"metadata": {"name": "postgres-orders"}, "spec": {"plugins": [{"name": "other"}]}});
        assert_eq!(Cluster(&cluster).server_name(), None);
        cluster["spec"]["plugins"] = json!([{"name": "other"}, {"name": PLUGIN}]);
        assert_eq!(Cluster(&cluster).server_name(), Some("postgres-orders"));
    }
}
