//! What goes wrong in a wake of a case.

use std::cell::RefCell;
use std::rc::Rc;

use backstay_testing::contract::{Action, Json, Query, ReadError, WriteError};
use backstay_testing::{Moment, Trouble as Strikes, World};
use serde::Deserialize;

/// Troubles that have not struck yet, in order.
pub(super) type Pending = Rc<RefCell<Vec<Trouble>>>;

/// What goes wrong, once.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Trouble {
    /// At what, such as `apply ObjectStore`, `get Cluster`, `log`, `checkpoint`.
    at: String,
    /// `unavailable`, `forbidden`, `conflict`, `invalid`, `crash` or `stale`.
    is: String,
    /// In whose words.
    #[serde(default)]
    says: String,
    /// It is done all the same.
    #[serde(default)]
    after: bool,
    /// Before that, somebody else puts another object in place of the one to be deleted: this merge patch of it.
    #[serde(default)]
    becomes: serde_json::Value,
}

/// Strikes with each trouble once, in order.
pub(super) fn disturb(pending: Pending) -> impl FnMut(&mut World, Moment<'_>) -> Strikes {
    move |world, moment| {
        let at = named(moment);
        let mut pending = pending.borrow_mut();
        if pending.first().is_none_or(|t| t.at != at) {
            return Strikes::None;
        }
        let trouble = pending.remove(0);
        if let (false, Moment::Write(Action::Delete(delete))) = (trouble.becomes.is_null(), moment) {
            let mut object = world.get(&delete.object).map(|o| Json::clone(&o)).unwrap_or_default();
            world.remove(&delete.object);
            super::given::merge(&mut object, &trouble.becomes);
            world.put(object);
        }
        let says = trouble.says.clone();
        let reads = matches!(moment, Moment::Read(_));
        match (trouble.is.as_str(), reads) {
            ("nothing", _) => Strikes::None,
            ("stale", true) => Strikes::Stale(1),
            ("unavailable", true) => Strikes::ReadFails(ReadError::Unavailable(says)),
            ("forbidden", true) => Strikes::ReadFails(ReadError::Forbidden(says)),
            ("crash", false) if trouble.after => Strikes::CrashAfter,
            ("crash", false) => Strikes::CrashBefore,
            (error, false) => {
                let error = match error {
                    "unavailable" => WriteError::Unavailable(says),
                    "forbidden" => WriteError::Forbidden(says),
                    "conflict" => WriteError::Conflict(says),
                    "invalid" => WriteError::Invalid(says),
                    other => panic!("what is {other}?"),
                };
                if trouble.after { Strikes::WriteFailsAfter(error) } else { Strikes::WriteFails(error) }
            }
            (other, true) => panic!("a read is not {other}"),
        }
    }
}

fn named(moment: Moment<'_>) -> String {
    let kind = |manifest: &serde_json::Value| manifest["kind"].as_str().unwrap_or_default().to_owned();
    match moment {
        Moment::Checkpoint(_) => "checkpoint".to_owned(),
        Moment::Read(Query::Get(get)) => format!("get {}", get.object.kind),
        Moment::Read(Query::List(list)) => format!("list {}", list.objects.kind),
        Moment::Read(Query::Log(_)) => "log".to_owned(),
        Moment::Read(Query::SecretKeys(_)) => "keys".to_owned(),
        Moment::Read(Query::Pod(_)) | Moment::Write(Action::RunPod(_)) => "pod".to_owned(),
        Moment::Write(Action::Create(create)) => format!("create {}", kind(&create.manifest)),
        Moment::Write(Action::Apply(apply)) => format!("apply {}", kind(&apply.manifest)),
        Moment::Write(Action::Patch(patch)) => format!("patch {}", patch.object.kind),
        Moment::Write(Action::Delete(delete)) => format!("delete {}", delete.object.kind),
    }
}
