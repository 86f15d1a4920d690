//! State and operations of the sidecar.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::http::{Answer, Request};
use super::{PASSWORD, USER};

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Succeeds at once.
    Well,
    /// Waits until the test ends it.
    Held,
    /// Fails with this text.
    InError(String),
    /// Is cancelled.
    Cancelled,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) ready: bool,
    pub(super) data: String,
    pub(super) next: Ends,
    pub(super) started: Vec<String>,
    pub(super) refused: usize,
    /// How far the sidecar's clock is ahead of this machine's.
    pub(super) ahead: SignedDuration,
    actions: Vec<Action>,
    store: BTreeMap<String, Archive>,
    local: BTreeSet<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            ready: true,
            data: String::new(),
            next: Ends::Well,
            started: Vec::new(),
            refused: 0,
            ahead: SignedDuration::ZERO,
            actions: Vec::new(),
            store: BTreeMap::new(),
            local: BTreeSet::new(),
        }
    }
}

#[derive(Debug)]
struct Archive {
    created: String,
    /// None for an incomplete archive.
    data: Option<String>,
}

#[derive(Debug)]
struct Action {
    operation: String,
    archive: String,
    start: String,
    finish: String,
    status: &'static str,
    error: String,
    /// Content of the database when the operation began.
    data: String,
}

const IN_PROGRESS: &str = "in progress";

impl State {
    /// Returns the time of the sidecar's clock in the tool's form: without a zone, in seconds.
    fn now(&self) -> String {
        (Timestamp::now() + self.ahead).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        if request.authorization != format!("Basic {}", base64(&format!("{USER}:{PASSWORD}"))) {
            return (401, "Unauthorized".to_owned());
        }
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["backup", "status"]) if !self.ready => (503, "not yet".to_owned()),
            ("GET", ["backup", "status"]) => (200, String::new()),
            ("GET", ["backup", "actions"]) => (200, lines(self.actions.iter().map(row))),
            ("POST", ["backup", "actions"]) => self.act(&request.body),
            ("GET", ["backup", "list", "remote"]) => (200, lines(self.store.iter().map(listed))),
            ("POST", ["backup", "create_remote"]) => match request.query.strip_prefix("name=") {
                Some(name) => self.begin("create_remote", name),
                None => (400, r#"{"error":"no name"}"#.to_owned()),
            },
            ("POST", ["backup", "restore_remote", name]) => self.begin("restore_remote", name),
            ("POST", ["backup", "delete", "local", name]) => match self.local.remove(*name) {
                true => (200, r#"{"status":"success"}"#.to_owned()),
                false => {
                    (500, json!({"error": format!("'{name}' is not found on local storage")}).to_string())
                }
            },
            _ => (404, "404 page not found".to_owned()),
        }
    }

    fn begin(&mut self, operation: &str, archive: &str) -> Answer {
        if self.is_busy() {
            self.refused += 1;
            return (423, r#"{"error":"another operation is currently running"}"#.to_owned());
        }
        self.started.push(format!("{operation} {archive}"));
        self.actions.push(Action {
            operation: operation.to_owned(),
            archive: archive.to_owned(),
            start: self.now(),
            finish: String::new(),
            status: IN_PROGRESS,
            error: String::new(),
            data: self.data.clone(),
        });
        let ends = std::mem::replace(&mut self.next, Ends::Well);
        if ends != Ends::Held {
            self.end(ends);
        }
        let answer = json!({"status": "acknowledged", "operation": operation, "backup_name": archive});
        (200, answer.to_string())
    }

    /// Runs a command, as far as clients use them. `kill NAME` of an unknown command stays on the list as a failed one.
    fn act(&mut self, body: &str) -> Answer {
        let row: Value = serde_json::from_str(body).unwrap_or_default();
        let command = row["command"].as_str().unwrap_or_default();
        let Some(name) = command.strip_prefix("kill ") else {
            return (400, r#"{"error":"unknown command"}"#.to_owned());
        };
        let error = format!("command `{name}` not found");
        let now = self.now();
        self.actions.push(Action {
            operation: "kill".to_owned(),
            archive: name.to_owned(),
            start: now.clone(),
            finish: now,
            status: "error",
            error: error.clone(),
            data: String::new(),
        });
        (500, json!({ "error": error }).to_string())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.actions.iter().any(|a| a.status == IN_PROGRESS)
    }

    pub(super) fn keep_busy(&mut self) {
        self.actions.push(Action {
            operation: "watch".to_owned(),
            archive: String::new(),
            start: self.now(),
            finish: String::new(),
            status: IN_PROGRESS,
            error: String::new(),
            data: String::new(),
        });
    }

    /// Ends the operation in progress.
    pub(super) fn end(&mut self, ends: Ends) {
        let now = self.now();
        let Some(action) = self.actions.iter_mut().find(|a| a.status == IN_PROGRESS) else { return };
        action.finish = now;
        (action.status, action.error) = match ends {
            Ends::Held => return,
            Ends::Cancelled => ("cancel", "context canceled".to_owned()),
            Ends::InError(text) => ("error", text),
            Ends::Well => ("success", String::new()),
        };
        let name = action.archive.clone();
        if action.status != "success" {
            // The data that the tool has written to the data volume by then stays.
            if action.operation == "create_remote" {
                self.local.insert(name);
            }
            return;
        }
        match action.operation.as_str() {
            "create_remote" if self.local.contains(&name) => {
                action.status = "error";
                action.error = format!("'{name}' already exists on local storage");
            }
            "create_remote" if self.store.contains_key(&name) => {
                action.status = "error";
                action.error = format!("'{name}' already exists on remote storage");
            }
            "create_remote" => {
                let archive = Archive { created: action.start.clone(), data: Some(action.data.clone()) };
                self.store.insert(name.clone(), archive);
                self.local.insert(name);
            }
            "restore_remote" => match self.store.get(&name).and_then(|archive| archive.data.as_ref()) {
                Some(data) => {
                    self.data.clone_from(data);
                    self.local.insert(name);
                }
                None => {
                    action.status = "error";
                    action.error = format!("'{name}' is not found on remote storage");
                }
            },
            _ => {}
        }
    }

    pub(super) fn restart(&mut self, part: bool) {
        for action in self.actions.drain(..).filter(|a| part && a.status == IN_PROGRESS) {
            let archive = Archive { created: action.start, data: None };
            self.store.insert(action.archive, archive);
        }
    }

    pub(super) fn store(&mut self, archive: &str, data: &str) {
        self.store.insert(archive.to_owned(), Archive { created: self.now(), data: Some(data.to_owned()) });
    }

    pub(super) fn forget_archives(&mut self) {
        self.store.clear();
    }

    pub(super) fn archives(&self) -> Vec<String> {
        self.store.keys().cloned().collect()
    }

    pub(super) fn marks(&self, word: &str) -> Vec<String> {
        let kills = self.actions.iter().filter(|a| a.operation == "kill");
        kills.filter(|a| a.archive.starts_with(&format!("{word}-"))).map(|a| a.archive.clone()).collect()
    }

    pub(super) fn local_copies(&self) -> Vec<String> {
        self.local.iter().cloned().collect()
    }
}

fn row(action: &Action) -> Value {
    json!({
        "command": format!("{} {}", action.operation, action.archive).trim_end(), "status": action.status,
        "start": action.start, "finish": action.finish, "error": action.error,
    })
}

fn listed((name, archive): (&String, &Archive)) -> Value {
    json!({
        "name": name, "created": archive.created, "size": archive.data.as_ref().map_or(0, String::len),
        "location": "remote", "required": "",
        "desc": if archive.data.is_some() { "tar, regular" } else { "broken: can't stat metadata.json" },
    })
}

fn lines(rows: impl Iterator<Item = Value>) -> String {
    rows.map(|row| format!("{row}\n")).collect()
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits =
            three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            match digit <= three.len() {
                true => coded.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize])),
                false => coded.push('='),
            }
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_coded_as_every_client_codes_them() {
        for (text, coded) in
            [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("user:pw", "dXNlcjpwdw==")]
        {
            assert_eq!(base64(text), coded);
        }
    }
}
