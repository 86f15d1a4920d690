//! How the containers of pods end: the script of the node.

use std::collections::{BTreeMap, VecDeque};
use std::iter::Once;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backstay_core::contract::Json;
use bytes::Bytes;
use devcluster::api::{LogOptions, Logs};
use devcluster::controllers::Script;
use devcluster::status::Status;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

/// How a container ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PodEnd {
    code: i32,
    message: String,
    log: String,
    runs: Option<Duration>,
}

impl PodEnd {
    /// It succeeds after a second, and says nothing.
    pub fn ok() -> Self {
        Self::code(0)
    }

    /// It ends with this exit code after a second.
    pub fn code(code: i32) -> Self {
        Self { code, message: String::new(), log: String::new(), runs: Some(Duration::from_secs(1)) }
    }

    /// It runs until it is stopped.
    pub fn never() -> Self {
        Self { runs: None, ..Self::ok() }
    }

    /// Sets its termination message: what it has written to `/dev/termination-log`.
    pub fn saying(mut self, message: &str) -> Self {
        message.clone_into(&mut self.message);
        self
    }

    /// Sets its log.
    pub fn logging(mut self, log: &str) -> Self {
        log.clone_into(&mut self.log);
        self
    }

    /// Sets how long it runs.
    pub fn after(mut self, runs: Duration) -> Self {
        self.runs = Some(runs);
        self
    }

    fn script(&self) -> Script {
        Script { code: self.code, message: self.message.clone(), runs: self.runs, ..Script::default() }
    }
}

/// One end is a list of one.
impl IntoIterator for PodEnd {
    type Item = Self;
    type IntoIter = Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// The ends of containers. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    /// By name of the container, one for each start; the last one for all later starts.
    to_come: BTreeMap<String, VecDeque<PodEnd>>,
    /// By uid of the pod and name of the container, that of its last start.
    begun: BTreeMap<(String, String), PodEnd>,
}

impl Pods {
    /// Sets the ends of a container.
    pub(super) fn set(&self, container: &str, ends: impl IntoIterator<Item = PodEnd>) {
        self.lock().to_come.insert(container.to_owned(), ends.into_iter().collect());
    }

    /// Takes the script of a start of a container.
    pub(super) fn start(&self, pod: &Json, container: &str) -> Script {
        let mut ends = self.lock();
        let end = match ends.to_come.get_mut(container) {
            Some(left) if left.len() > 1 => left.pop_front(),
            Some(left) => left.front().cloned(),
            None => None,
        };
        let end = end.unwrap_or_else(PodEnd::ok);
        let script = end.script();
        ends.begun.insert(place(pod, container), end);
        script
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logs for Pods {
    fn open(&self, pod: &Json, options: &LogOptions) -> Result<BoxStream<'static, Bytes>, Status> {
        let ends = self.lock();
        let end = ends.begun.get(&place(pod, &options.container));
        let text = end.map(|end| end.log.clone()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let wanted =
            options.tail_lines.map_or(usize::MAX, |lines| usize::try_from(lines).unwrap_or(usize::MAX));
        let tail: String =
            lines.iter().skip(lines.len().saturating_sub(wanted)).map(|line| format!("{line}\n")).collect();
        Ok(stream::iter([Bytes::from(tail)]).boxed())
    }
}

fn place(pod: &Json, container: &str) -> (String, String) {
    (pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned(), container.to_owned())
}
