//! Checks the results of a row.

use std::time::Duration;

use backstay_tests::bad_inputs::{Check, Content, Target};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::Value;

use super::Seen;
use super::objects::{find, json, object, placed, title};
use super::stage::Stage;

impl Stage<'_> {
    pub(super) async fn check(&mut self, check: &Check) -> Result<(), String> {
        match check {
            Check::Content(content) => self.content(content).await,
            Check::Event { of, reason, says } => self.event(of, reason, says).await,
            Check::Refused { create, says } => self.refused(create, says).await,
            Check::Gone(targets) => {
                for target in targets {
                    self.gone(target).await?;
                }
                Ok(())
            }
            Check::Absent(targets) => {
                for target in targets {
                    let (api, name) = self.reach(target)?;
                    if api.get_opt(&name).await.map_err(|e| e.to_string())?.is_some() {
                        return Err(format!("{} is there", title(target)));
                    }
                }
                Ok(())
            }
            Check::Nowhere(text) => self.nowhere(text).await,
            Check::Untouched(targets) => {
                for target in targets {
                    self.untouched(target).await?;
                }
                Ok(())
            }
        }
    }

    /// Waits until an object has the expected content, or has ended otherwise.
    async fn content(&mut self, content: &Content) -> Result<(), String> {
        let (api, name) = self.reach(&content.of)?;
        let namespace = self.namespace().to_owned();
        let ended =
            |object: &Value| matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let enough = |found: Option<&DynamicObject>| {
            found.map(json).is_some_and(|o| differs(&o, content, &namespace).is_none() || ended(&o))
        };
        let reached = await_condition(api.clone(), &name, enough);
        let found = match tokio::time::timeout_at(self.deadline, reached).await {
            Ok(found) => found.map_err(|e| e.to_string())?,
            Err(_) => api.get_opt(&name).await.map_err(|e| e.to_string())?,
        };
        let Some(object) = found.as_ref().map(json) else { return Err("it is not there in time".to_owned()) };
        self.seen = seen(&object, &content.condition);
        match differs(&object, content, &namespace) {
            None => Ok(()),
            Some(how) => Err(format!(
                "{how}\n    expected {} {} {:?}\n    seen     {} {} {:?}\n    {object}",
                content.phase.as_deref().unwrap_or("-"),
                content.reason.as_deref().unwrap_or("-"),
                content.says,
                self.seen.phase,
                self.seen.reason,
                self.seen.message,
            )),
        }
    }

    async fn event(&mut self, of: &Target, reason: &str, says: &[String]) -> Result<(), String> {
        let name = of.name.replace("$NS", self.namespace());
        let kind = if of.kind == "JobStrategy" { "Job" } else { &of.kind };
        let mut every = tokio::time::interval(Duration::from_millis(500));
        let about = |e: &Event| {
            e.reason.as_deref() == Some(reason)
                && e.regarding
                    .as_ref()
                    .is_some_and(|r| r.name.as_deref() == Some(&name) && r.kind.as_deref() == Some(kind))
        };
        loop {
            every.tick().await;
            let events = self.world.api::<Event>().list(&ListParams::default()).await;
            let events = events.map_err(|e| e.to_string())?.items;
            if let Some(event) = events.iter().find(|e| about(e)) {
                let note = event.note.clone().unwrap_or_default();
                if self.seen.reason.is_empty() {
                    self.seen = Seen { phase: "-".into(), reason: reason.into(), message: note.clone() };
                }
                return match says.iter().find(|part| !note.contains(&part.replace("$NS", self.namespace()))) {
                    None => Ok(()),
                    Some(part) => Err(format!("its note does not say {part:?}: {note}")),
                };
            }
            if tokio::time::Instant::now() >= self.deadline {
                let found: Vec<_> = events.iter().map(|e| (&e.reason, &e.note)).collect();
                return Err(format!("no Event {reason} about {} in time; there are {found:?}", title(of)));
            }
        }
    }

    async fn refused(&mut self, create: &Value, says: &[String]) -> Result<(), String> {
        let (kind, object) = object(placed(create, self.namespace()))?;
        let api = kind.api(&self.world.client, self.namespace());
        // A policy takes a moment to be in force; objects accepted until then have no effect.
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let mut every = tokio::time::interval(Duration::from_millis(300));
        loop {
            every.tick().await;
            let message = match api.create(&dry, &object).await {
                Err(error) => error.to_string(),
                Ok(_) if tokio::time::Instant::now() < self.deadline => continue,
                Ok(_) => return Err("it is accepted".to_owned()),
            };
            self.seen = Seen { phase: "-".into(), reason: "(refused)".into(), message: message.clone() };
            return match says.iter().find(|part| !message.contains(part.as_str())) {
                None => Ok(()),
                Some(part) => Err(format!("the answer does not say {part:?}: {message}")),
            };
        }
    }

    async fn nowhere(&self, text: &str) -> Result<(), String> {
        for word in ["BackupJob", "RestoreJob", "Backup", "Event"] {
            let api = find(word)?.api(&self.world.client, self.namespace());
            for object in api.list(&ListParams::default()).await.map_err(|e| e.to_string())? {
                let object = json(&object);
                // The text as JSON writes it, without the quotes around.
                let written = Value::from(text).to_string();
                if object.to_string().contains(written.trim_matches('"')) {
                    return Err(format!("{text:?} stands in {word}: {object}"));
                }
            }
        }
        Ok(())
    }

    async fn gone(&self, target: &Target) -> Result<(), String> {
        let (api, name) = self.reach(target)?;
        let gone = await_condition(api.clone(), &name, |found: Option<&DynamicObject>| found.is_none());
        match tokio::time::timeout_at(self.deadline, gone).await {
            Ok(outcome) => outcome.map(|_| ()).map_err(|e| e.to_string()),
            Err(_) => Err(format!("{} is not gone in time: {:?}", title(target), api.get_opt(&name).await)),
        }
    }

    async fn untouched(&self, target: &Target) -> Result<(), String> {
        let (api, name) = self.reach(target)?;
        let before = self.given.get(&format!("{}/{name}", target.kind));
        let now = api.get_opt(&name).await.map_err(|e| e.to_string())?;
        let now = now.ok_or_else(|| format!("{} is gone", title(target)))?;
        if now.metadata.resource_version.as_ref() == before {
            return Ok(());
        }
        Err(format!("{} was written to since version {before:?}: {}", title(target), json(&now)))
    }
}

/// Returns phase, and reason and message of a condition.
fn seen(object: &Value, type_: &str) -> Seen {
    let condition = condition(object, type_);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Seen {
        phase: object["status"]["phase"].as_str().unwrap_or("-").to_owned(),
        reason: text(&condition["reason"]),
        message: text(&condition["message"]),
    }
}

fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    const NONE: &Value = &Value::Null;
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|c| c["type"] == type_)).unwrap_or(NONE)
}

/// Returns the difference between an object and its expected content.
fn differs(object: &Value, content: &Content, namespace: &str) -> Option<String> {
    let seen = seen(object, &content.condition);
    if let Some(phase) = &content.phase
        && seen.phase != *phase
    {
        return Some(format!("its phase is {}", seen.phase));
    }
    if let Some(reason) = &content.reason
        && seen.reason != *reason
    {
        return Some(format!("its reason is {:?}", seen.reason));
    }
    // The message of a failed run is in its status too, where people look first.
    if content.phase.as_deref() == Some("Failed") && object["status"]["message"] != seen.message.as_str() {
        return Some("status.message is not the message of the condition".to_owned());
    }
    let missing = content.says.iter().find(|part| !seen.message.contains(&part.replace("$NS", namespace)));
    if let Some(part) = missing {
        return Some(format!("its message does not say {part:?}"));
    }
    let text = object.to_string();
    if let Some(part) = content.never.iter().find(|part| text.contains(part.as_str())) {
        return Some(format!("it holds {part:?}"));
    }
    content.holds.iter().find_map(|(at, wanted)| {
        let found = object.pointer(at);
        let as_wanted = match wanted {
            Value::Bool(true) => found.is_some_and(|v| !v.is_null()),
            wanted => found == Some(&placed(wanted, namespace)) || (wanted.is_null() && found.is_none()),
        };
        (!as_wanted).then(|| format!("at {at} is {found:?}, not {wanted}"))
    })
}
