//! Gets, lists and watches.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::{Plan, tag};

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const LABELS: &[&str] = &[
    "app=a",
    "app=b",
    "app!=a",
    "app",
    "!app",
    "app in (a,b)",
    "app notin (a)",
    "app=a,tier=x",
    "tier=y",
    "app in (a",
    "=x",
];

impl Plan {
    pub(super) fn get(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        let mut path = self.path(kind, name);
        if kind.has_status() && self.dice.percent(10) {
            path.push_str("/status");
        }
        let mut query = Vec::new();
        if self.dice.percent(8) {
            query.push(("resourceVersion", format!("${{rv_{}}}", tag(kind, name))));
        }
        let metadata = self.dice.percent(10);
        let more = if metadata { json!({"headers": {"accept": METADATA}}) } else { json!({}) };
        // What is shown of its metadata alone is nothing to be written back.
        self.request("GET", path, if metadata { "" } else { name }, kind, query, more);
    }

    fn selectors(&mut self, kind: &Kind, odds: usize) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        if self.dice.percent(odds) {
            query.push(("labelSelector", self.dice.pick(LABELS).to_owned()));
        }
        if self.dice.percent(odds / 2) {
            let own: &[&str] = match kind.plural {
                "widgets" => &[
                    "spec.color=red",
                    "spec.color!=red",
                    "status.phase=Up",
                    "spec.size=1",
                    "spec.size=",
                    "spec.word=ok",
                ],
                "secrets" => &["type=Opaque", "type!=Opaque"],
                "jobs" => &["status.successful=1", "status.successful!=0", "status.active=1"],
                "pods" => &[
                    "status.phase=Pending",
                    "spec.nodeName=",
                    "spec.restartPolicy=Never",
                    "status.phase!=Running",
                ],
                _ => &["spec.x=1", "metadata.name!=b"],
            };
            let all = [
                "metadata.name=a",
                "metadata.name!=a",
                "metadata.namespace=${ns}",
                "metadata.name=a,metadata.name=b",
            ];
            query.push((
                "fieldSelector",
                if self.dice.percent(60) { self.dice.pick(own) } else { self.dice.pick(&all) }.to_owned(),
            ));
        }
        query
    }

    pub(super) fn list(&mut self, kind: &'static Kind) {
        let mut query = self.selectors(kind, 40);
        // Whether a page of what is selected has another one depends on whether it comes from the cache.
        let paged = query.is_empty() && self.dice.percent(45);
        if paged {
            query.push(("limit", self.dice.pick(&["1", "2", "500", "0"]).to_owned()));
        }
        // A version that need only be reached is answered from a cache, which may be as old as it likes.
        match self.dice.below(16) {
            0 => query.extend([
                ("resourceVersion", "${lrv}".to_owned()),
                ("resourceVersionMatch", "Exact".to_owned()),
            ]),
            1 => query.push(("resourceVersionMatch", "Exact".into())),
            _ => {}
        }
        let mut step = json!({"method": "GET", "path": kind.path(), "keep": {"lrv": "/metadata/resourceVersion", "next": "/metadata/continue"}});
        if self.dice.percent(15) {
            step["headers"] = json!({"accept": METADATA_LIST});
        }
        step["query"] = asked(&query);
        self.steps.push(step.clone());
        if paged && self.dice.percent(60) {
            query.retain(|(key, _)| !key.starts_with("resourceVersion"));
            query.push(("continue", "${next}".into()));
            step["query"] = asked(&query);
            self.steps.push(step);
        }
    }

    /// Opens a watch, as controllers do: a list comes first.
    pub(super) fn open(&mut self, kind: &'static Kind) {
        if self.watches.len() >= 2 {
            return self.read(kind);
        }
        let selectors = self.selectors(kind, 35);
        self.steps.push(json!({"method": "GET", "path": kind.path(), "query": asked(&selectors),
            "keep": {"lrv": "/metadata/resourceVersion"}, "only": ["/kind"]}));
        let mut query = selectors;
        query.push(("watch", "true".into()));
        if self.dice.percent(10) {
            // Bookmarks come by the clock of each server.
            query.extend([
                ("sendInitialEvents", "true".to_owned()),
                ("resourceVersionMatch", "NotOlderThan".to_owned()),
            ]);
        } else {
            query.push(("resourceVersion", "${lrv}".into()));
        }
        self.opened += 1;
        let name = format!("w{}", self.opened);
        let mut step = json!({"watch": name, "path": kind.path(), "query": asked(&query)});
        if self.dice.percent(10) {
            step["headers"] =
                json!({"accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"});
        }
        self.steps.push(step);
        self.watches.push(name);
    }

    pub(super) fn read(&mut self, _: &'static Kind) {
        if !self.watches.is_empty() {
            let at = self.dice.below(self.watches.len());
            self.steps.push(json!({"read": self.watches[at], "events": 0}));
        }
    }

    pub(super) fn read_all(&mut self) {
        for watch in std::mem::take(&mut self.watches) {
            self.steps.push(json!({"read": watch, "events": 0}));
        }
    }
}

fn asked(query: &[(&str, String)]) -> Value {
    query
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(value.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
