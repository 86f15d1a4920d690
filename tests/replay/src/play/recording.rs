//! A recording, read.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::exchange::Exchange;
use super::target::Target;
use crate::line::{Answer, Line, What};

/// How long after an answer the recorder's watches may still tell of changes before it, in microseconds.
const LAG: i64 = 2_000_000;

/// Kinds on which the answers about all others can depend.
const DEPENDED_ON: [&str; 12] = [
    "namespaces",
    "serviceaccounts",
    "roles",
    "rolebindings",
    "clusterroles",
    "clusterrolebindings",
    "customresourcedefinitions",
    "apiservices",
    "limitranges",
    "resourcequotas",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
];

/// A change as the recorder's watches told it.
pub(super) struct Recorded {
    pub(super) group: String,
    pub(super) plural: String,
    pub(super) gone: bool,
    pub(super) object: Value,
}

/// Where an object is: group, plural, namespace, name.
pub(super) type Place = (String, String, String, String);

/// A recording.
#[derive(Default)]
pub(super) struct Recording {
    pub(super) administrator: Value,
    /// The revision of the first state.
    pub(super) beginning: u64,
    pub(super) state: BTreeMap<Place, Value>,
    pub(super) changes: BTreeMap<u64, Recorded>,
    pub(super) exchanges: Vec<Exchange>,
    /// The uids of all recorded objects.
    pub(super) uids: HashSet<String>,
    /// The revisions at which objects went.
    pub(super) deletions: HashMap<Place, Vec<u64>>,
    by_id: HashMap<u64, usize>,
    /// The last revision that was known of, over time.
    known: Vec<(i64, u64)>,
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn version(value: &Value) -> Option<u64> {
    text(value, "/metadata/resourceVersion").parse().ok()
}

fn place(group: &str, plural: &str, object: &Value) -> Place {
    let text = |pointer| text(object, pointer).to_owned();
    (group.to_owned(), plural.to_owned(), text("/metadata/namespace"), text("/metadata/name"))
}

impl Recording {
    /// Reads the lines of a recording.
    pub(super) fn read(lines: &str) -> anyhow::Result<Self> {
        let mut recording = Self::default();
        for (number, line) in lines.lines().enumerate() {
            let line = Line::read(line).with_context(|| format!("line {}", number + 1))?;
            recording.take(line)?;
        }
        recording.settle();
        Ok(recording)
    }

    fn know(&mut self, at: i64, revision: Option<u64>) {
        let last = self.known.last().map_or(0, |known| known.1);
        self.known.push((at, last.max(revision.unwrap_or(0))));
    }

    fn take(&mut self, line: Line) -> anyhow::Result<()> {
        let at = line.at;
        match line.what {
            What::Begin { administrator, .. } => self.administrator = administrator,
            What::State { group, plural, revision, items } => {
                let begins = self.exchanges.is_empty();
                if begins {
                    self.beginning = self.beginning.max(revision);
                }
                for object in items {
                    self.uids.insert(text(&object, "/metadata/uid").to_owned());
                    if begins {
                        self.state.insert(place(&group, &plural, &object), object);
                    } else if let Some(version) = version(&object) {
                        let (group, plural) = (group.clone(), plural.clone());
                        self.changes.entry(version).or_insert(Recorded {
                            group,
                            plural,
                            gone: false,
                            object,
                        });
                    }
                }
                self.know(at, Some(revision));
            }
            What::Ready {} => {}
            What::Change { group, plural, gone, object } => {
                let revision = version(&object).context("a change without a version")?;
                self.uids.insert(text(&object, "/metadata/uid").to_owned());
                if gone {
                    self.deletions.entry(place(&group, &plural, &object)).or_default().push(revision);
                }
                self.know(at, Some(revision));
                self.changes.insert(revision, Recorded { group, plural, gone, object });
            }
            What::Request(request) => {
                self.by_id.insert(request.id, self.exchanges.len());
                let lower = self.known.last().map_or(0, |known| known.1);
                self.exchanges.push(Exchange {
                    target: Target::of(&request.method, &request.target),
                    request,
                    sent: at,
                    answered: at,
                    answer: None,
                    events: Vec::new(),
                    version: None,
                    lower,
                    upper: lower,
                });
            }
            What::Answer(answer) => self.answered(at, answer)?,
            What::Event { id, event } => {
                let event = event.json();
                let revision = event.get("object").and_then(version);
                self.know(at, revision);
                self.exchange(id)?.events.push(event);
            }
            What::End { .. } => {}
            What::Gap { of } => bail!("the recorder could not keep up: {of}"),
        }
        Ok(())
    }

    fn exchange(&mut self, id: u64) -> anyhow::Result<&mut Exchange> {
        let at = self.by_id.get(&id).copied();
        at.and_then(|at| self.exchanges.get_mut(at)).with_context(|| format!("no request {id}"))
    }

    fn answered(&mut self, at: i64, answer: Answer) -> anyhow::Result<()> {
        let version = version(&answer.body.json());
        self.know(at, version);
        let exchange = self.exchange(answer.id)?;
        (exchange.answered, exchange.version, exchange.answer) = (at, version, Some(answer));
        Ok(())
    }

    /// Brings the first state to one revision, and gives each request its window.
    fn settle(&mut self) {
        let later = self.changes.split_off(&(self.beginning + 1));
        for (revision, change) in std::mem::replace(&mut self.changes, later) {
            let place = place(&change.group, &change.plural, &change.object);
            if change.gone {
                self.state.remove(&place);
            } else if self.state.get(&place).and_then(version).is_none_or(|version| version < revision) {
                self.state.insert(place, change.object);
            }
        }
        for exchange in &mut self.exchanges {
            exchange.lower = exchange.lower.max(self.beginning);
            let end = exchange.answered + LAG;
            let after = self.known.partition_point(|(at, _)| *at <= end);
            let upper = after.checked_sub(1).and_then(|at| self.known.get(at)).map_or(0, |known| known.1);
            exchange.upper = exchange.lower.max(upper);
        }
    }

    /// The first of these revisions that can change the answer to a request about this.
    pub(super) fn next_for(&self, target: &Target, from: u64, until: u64) -> Option<u64> {
        if from > until {
            return None;
        }
        let matters = |change: &Recorded| {
            let same = change.group == target.group || change.plural == "events";
            let of = same && change.plural == target.plural;
            let named = target.name.is_empty() || text(&change.object, "/metadata/name") == target.name;
            !target.resource || of && named || DEPENDED_ON.contains(&change.plural.as_str())
        };
        self.changes.range(from..=until).find(|(_, change)| matters(change)).map(|(revision, _)| *revision)
    }

    /// Whether an object went at one of these revisions.
    pub(super) fn went(&self, place: &Place, after: u64, until: u64) -> bool {
        let went = |at: &u64| *at > after && *at <= until;
        self.deletions.get(place).is_some_and(|all| all.iter().any(went))
    }
}
