//! Watches: what has changed since a version, as a stream of lines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::answer::{Answer, Content, Item};
use super::call::Call;
use super::errors::{self, Refusal};
use super::negotiate::{self, Form, Media};
use super::options::{self, ListOptions};
use super::resource::Resource;
use super::service::ApiServer;
use super::state;
use super::store::{Change, Stored};
use super::view::{self, Look};
use crate::schema::go;
use crate::status::Status;

/// How long a watch lasts that names no time.
const LONG: Duration = Duration::from_secs(2700);
/// How long a watch may last: who asks for more does not notice.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// How often a bookmark comes.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How long before its end a watch gets its last bookmark.
const BEFORE_END: Duration = Duration::from_secs(2);

/// An open watch.
pub(crate) struct Watch {
    server: ApiServer,
    /// Wakes when something that it may tell has changed.
    changed: Arc<Notify>,
    resource: Arc<Resource>,
    namespace: String,
    options: ListOptions,
    look: Look,
    /// The revision up to which everything has been looked at.
    seen: u64,
    /// The revision from which it began.
    begun: u64,
    lines: VecDeque<Bytes>,
    ended: bool,
    end: Instant,
    bookmark: Option<Instant>,
    /// Whether the columns of a table have been told.
    titled: bool,
}

impl Call<'_> {
    /// Answers a watch.
    pub(crate) fn watch(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let look = self.look(resource)?;
        let options = options::list(self.request, true)?;
        self.selectable(resource, &options.fields)?;
        if look.accept.media == Media::Yaml {
            let types = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
            return Err(negotiate::not_acceptable(types).into());
        }
        let from = match options.version.as_str() {
            "" => 0,
            text => text.parse().map_err(|_| errors::internal(errors::no_version(text)))?,
        };
        let watch = Watch::open(self, resource, options, look, from)?;
        Ok(Answer { code: 200, headers: Vec::new(), content: Content::Watch(Box::new(watch)) })
    }
}

impl Watch {
    fn open(
        call: &Call<'_>,
        resource: &Arc<Resource>,
        options: ListOptions,
        look: Look,
        from: u64,
    ) -> Result<Self, Status> {
        let current = call.state.store.revision();
        let lasting = match options.timeout {
            None | Some(0) => LONG,
            Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(LONGEST),
        };
        let now = Instant::now();
        let bookmark = options.bookmarks.then(|| bookmark_after(now, now + lasting)).flatten();
        let whole = from == 0 && options.initial != Some(false) || options.initial == Some(true);
        let mut watch = Self {
            server: call.server.clone(),
            changed: call.server.changed_of(&resource.family()),
            resource: Arc::clone(resource),
            namespace: call.target.namespace.clone(),
            options,
            look,
            seen: if from == 0 || whole { current } else { from },
            begun: if from == 0 || whole { current } else { from },
            lines: VecDeque::new(),
            ended: false,
            end: now + lasting,
            bookmark,
            titled: false,
        };
        if whole {
            watch.begin(call.state)?;
        } else if watch.seen < call.state.store.floor() {
            watch.too_old(call.state.store.revision());
        }
        Ok(watch)
    }

    /// Tells what is there.
    fn begin(&mut self, state: &state::State) -> Result<(), Status> {
        for (key, stored) in state.store.family(&self.resource.family()) {
            if (self.namespace.is_empty() || key.0 == self.namespace) && self.fits(Some(stored)) {
                let object = view::present(&self.resource, stored);
                self.tell("ADDED", &Item::of(Some(stored), object))?;
            }
        }
        if self.options.initial == Some(true) && self.options.bookmarks {
            let mut bookmark = self.bookmark_object(self.seen);
            bookmark["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
            self.tell("BOOKMARK", &Item::of(None, Arc::new(bookmark)))?;
        }
        Ok(())
    }

    /// The next line; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            let changed = Arc::clone(&self.changed);
            let changed = changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.catch_up();
            if !self.lines.is_empty() || self.ended {
                continue;
            }
            let bookmark = self.bookmark.unwrap_or(self.end);
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(self.end) => self.ended = true,
                () = tokio::time::sleep_until(bookmark), if self.bookmark.is_some() => self.mark(),
            }
        }
    }

    /// Looks at what has changed.
    fn catch_up(&mut self) {
        let server = self.server.clone();
        let state = server.state();
        let served = state.served(&self.resource.group, &self.resource.version, &self.resource.plural);
        let same = served.is_some_and(|served| served.shape() == self.resource.shape());
        let family = self.resource.family();
        match state.store.since(self.seen) {
            // Of a family that has not changed nothing was missed.
            Err(_) if state.store.latest(&family) > self.seen => {
                self.too_old(state.store.revision());
                return;
            }
            Err(_) => {}
            Ok(changes) => {
                for change in changes.filter(|change| change.family == family) {
                    if let Err(refused) = self.look_at(change) {
                        self.line("ERROR", &go::body(&refused.body()));
                        self.ended = true;
                    }
                }
            }
        }
        self.seen = self.seen.max(state.store.revision());
        self.ended |= !same;
    }

    /// Tells of a change, if it is one for this watch.
    fn look_at(&mut self, change: &Change) -> Result<(), Status> {
        if !self.namespace.is_empty() && change.key.0 != self.namespace {
            return Ok(());
        }
        let was = self.fits(change.before.as_ref());
        let is = self.fits(change.after.as_ref());
        let (kind, stored) = match (was, is) {
            (false, false) => return Ok(()),
            (true, false) => ("DELETED", &change.before),
            (false, true) => ("ADDED", &change.after),
            (true, true) => ("MODIFIED", &change.after),
        };
        let Some(stored) = stored else { return Ok(()) };
        let mut object = view::present(&self.resource, stored);
        if kind == "DELETED" {
            let mut last = (*object).clone();
            last["metadata"]["resourceVersion"] = change.revision.to_string().into();
            object = Arc::new(last);
        }
        self.tell(kind, &Item::of(Some(stored), object))
    }

    fn fits(&self, stored: Option<&Stored>) -> bool {
        let Some(stored) = stored else { return false };
        if self.options.labels.is_empty() && self.options.fields.is_empty() {
            return true;
        }
        let object = view::present(&self.resource, stored);
        self.options.labels.fit(&object) && self.options.fields.fit(&object)
    }

    fn tell(&mut self, kind: &str, item: &Item) -> Result<(), Status> {
        let mut shown = self.look.event(&self.resource, &item.object)?;
        if let (Form::Table, Some(table)) = (self.look.accept.form, &mut shown) {
            // Only the first table tells of its columns.
            if self.titled {
                table["columnDefinitions"] = Value::Null;
            }
            self.titled = true;
        }
        let text = shown.map_or_else(|| item.json(), |shown| go::body(&shown).into());
        self.line(kind, &text);
        Ok(())
    }

    fn line(&mut self, kind: &str, object: &[u8]) {
        // The type comes first, as in Go's struct: clients decide by it how to read the object.
        let line = [br#"{"type":""#, kind.as_bytes(), br#"","object":"#, object, b"}\n"].concat();
        self.lines.push_back(line.into());
    }

    /// Ends a watch that begins too early. Events are not cached in kube-apiserver: it is etcd that refuses them.
    fn too_old(&mut self, current: u64) {
        let message = match self.resource.plural.as_str() {
            "events" => "The resourceVersion for the provided watch is too old.".to_owned(),
            _ => format!("too old resource version: {} ({current})", self.seen),
        };
        self.line("ERROR", &go::body(&Status::new(410, "Expired", message).body()));
        self.ended = true;
    }

    /// Tells of the version reached, if something of this kind has changed since the beginning.
    fn mark(&mut self) {
        self.bookmark = bookmark_after(Instant::now(), self.end);
        let latest = self.server.state().store.latest(&self.resource.family());
        if latest > self.begun {
            let object = self.bookmark_object(latest);
            // A bookmark that cannot be shown as the client asks is not needed either.
            let _ = self.tell("BOOKMARK", &Item::of(None, Arc::new(object)));
        }
    }

    fn bookmark_object(&self, version: u64) -> Value {
        let mut object = match self.resource.qualified().as_str() {
            "pods" => json!({"spec": {"containers": null}, "status": {}}),
            "jobs.batch" => {
                json!({"spec": {"template": {"metadata": {}, "spec": {"containers": null}}}, "status": {}})
            }
            "namespaces" | "resourcequotas" | "persistentvolumes" => json!({"spec": {}, "status": {}}),
            "persistentvolumeclaims" => json!({"spec": {"resources": {}}, "status": {}}),
            "services" => json!({"spec": {}, "status": {"loadBalancer": {}}}),
            "leases.coordination.k8s.io" => json!({"spec": {}}),
            "limitranges" => json!({"spec": {"limits": null}}),
            "controllerrevisions.apps" => json!({"revision": 0}),
            _ => json!({}),
        };
        object["kind"] = self.resource.kind.clone().into();
        object["apiVersion"] = self.resource.api_version().into();
        object["metadata"] = json!({"resourceVersion": version.to_string()});
        object
    }
}

/// When the next bookmark comes: after a minute, or before the end.
fn bookmark_after(now: Instant, end: Instant) -> Option<Instant> {
    let last = end.checked_sub(BEFORE_END).filter(|last| *last > now);
    let next = now + BOOKMARKS;
    match last {
        Some(last) => Some(last.min(next)),
        None => (next < end).then_some(next),
    }
}
