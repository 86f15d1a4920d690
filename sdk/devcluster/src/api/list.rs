//! Reads: one object, and lists with their pages and versions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::{Answer, Content, Item};
use super::call::Call;
use super::errors::{self, Refusal, bad_request};
use super::meta;
use super::negotiate::{self, Place};
use super::options::{self, ListOptions};
use super::resource::Resource;
use super::select::Fields;
use super::store::{Key, Stored};
use super::view::{self, Look};
use crate::schema::go;
use crate::status::Status;

/// What of a family is asked for.
pub(crate) struct Selected {
    pub(crate) items: Vec<Item>,
    metadata: Value,
}

impl Call<'_> {
    /// How the client wants to see objects.
    pub(crate) fn look(&self, resource: &Resource) -> Result<Look, Status> {
        let place = if resource.custom.is_some() { Place::Table } else { Place::Object };
        if resource.custom.is_none() {
            negotiate::produced(self.request)?;
        }
        let accept = negotiate::accept(self.request, place)?;
        let include = self.request.parameter("includeObject").unwrap_or_default().to_owned();
        Ok(Look { accept, include, now: self.now })
    }

    /// Answers one object.
    pub(crate) fn get(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let look = self.look(resource)?;
        if let Some(text) = self.request.parameter("resourceVersion").filter(|text| !text.is_empty()) {
            let version = text.parse().map_err(|_| errors::internal(errors::no_version(text)))?;
            self.reached(version)?;
        }
        let key = (self.target.namespace.clone(), self.target.name.clone());
        let stored = self.state.store.get(&resource.family(), &key);
        let stored = stored.ok_or_else(|| errors::not_found(resource, &self.target.name))?;
        let shown = look.object(resource, &view::present(resource, stored))?;
        Ok(Answer::new(200, Content::Object(Item::of(Some(stored), shown))))
    }

    /// Answers an object of this request, which may be one that is stored.
    pub(crate) fn answer(
        &self,
        code: u16,
        resource: &Resource,
        look: &Look,
        object: &Arc<Value>,
    ) -> Result<Answer, Refusal> {
        let key = (self.key(resource).0, meta::text(object, "name").to_owned());
        let stored = self.state.store.get(&resource.family(), &key);
        let shown = look.object(resource, object)?;
        Ok(Answer::new(code, Content::Object(Item::of(stored, shown))))
    }

    /// Refuses a version of the future: first by waiting for it.
    pub(crate) fn reached(&self, version: u64) -> Result<(), Refusal> {
        let current = self.state.store.revision();
        match (version <= current, self.waited) {
            (true, _) => Ok(()),
            (false, false) => Err(Refusal::Later(version)),
            (false, true) => Err(errors::too_large(version, current).into()),
        }
    }

    /// Refuses fields that selectors of this kind cannot name.
    pub(crate) fn selectable(&self, resource: &Resource, fields: &Fields) -> Result<(), Status> {
        let known = |name: &str| {
            ["metadata.name", "metadata.namespace"].contains(&name)
                && (resource.namespaced || name == "metadata.name" || resource.custom.is_none())
                || resource.selectable.iter().any(|field| field == name)
        };
        match fields.names().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) if resource.group == "batch" => Err(bad_request(format!(
                "field label {} not supported for {}",
                go::quote(name),
                resource.kind
            ))),
            Some(name) if resource.custom.is_none() && resource.selectable.is_empty() => {
                Err(bad_request(format!(
                    "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                    go::quote(name)
                )))
            }
            Some(name) => Err(bad_request(format!("field label not supported: {name}"))),
        }
    }

    /// Answers a list.
    pub(crate) fn list(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let look = self.look(resource)?;
        let options = options::list(self.request, false)?;
        self.selectable(resource, &options.fields)?;
        match self.select(resource, &options)? {
            Ok(selected) => Ok(Answer::new(200, selected.shown(&look, resource)?)),
            Err(expired) => Ok(Answer::new(410, expired)),
        }
    }

    /// The objects that a list has; the inner error is the body of a 410 with a new token.
    pub(crate) fn select(
        &self,
        resource: &Arc<Resource>,
        options: &ListOptions,
    ) -> Result<Result<Selected, Value>, Refusal> {
        let token = match options.continuation.as_str() {
            "" => None,
            text => {
                if !options.version.is_empty() && options.version != "0" {
                    let message = "specifying resource version is not allowed when using continue";
                    return Err(bad_request(message).into());
                }
                Some(Token::read(text, &self.target.namespace)?)
            }
        };
        let version = self.version_of(options, token.as_ref())?;
        let family = resource.family();
        let store = &self.state.store;
        let Some(version) = version else {
            let after = token.map(|token| token.after);
            return Ok(Ok(self.page(resource, options, store.family(&family), store.revision(), after)));
        };
        let Ok(objects) = store.at(&family, version) else { return self.expired(token) };
        Ok(Ok(self.page(resource, options, objects.iter(), version, token.map(|token| token.after))))
    }

    /// The version whose state is asked for; `None` is that of now.
    fn version_of(&self, options: &ListOptions, token: Option<&Token>) -> Result<Option<u64>, Refusal> {
        if let Some(token) = token {
            return Ok(token.version);
        }
        if options.version.is_empty() {
            return Ok(None);
        }
        let version: u64 = options.version.parse().map_err(|_| {
            bad_request(format!("invalid resource version: {}", errors::no_version(&options.version)))
        })?;
        self.reached(version)?;
        let exact =
            options.matching == "Exact" || (options.matching.is_empty() && options.limit > 0 && version > 0);
        Ok(exact.then_some(version))
    }

    fn expired(&self, token: Option<Token>) -> Result<Result<Selected, Value>, Refusal> {
        let Some(token) = token else {
            let message = "The resourceVersion for the provided list is too old.";
            return Err(Status::new(410, "Expired", message).into());
        };
        let message = "The provided continue parameter is too old to display a consistent list result. You can start \
                       a new list without the continue parameter, or use the continue token in this response to \
                       retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the \
                       first chunk was returned and now may show up in the list.";
        let mut body = Status::new(410, "Expired", message).body();
        let token = Token { version: None, after: token.after };
        body["metadata"] = json!({"continue": token.written(&self.target.namespace)});
        Ok(Err(body))
    }

    fn page<'s>(
        &self,
        resource: &Arc<Resource>,
        options: &ListOptions,
        objects: impl Iterator<Item = (&'s Key, &'s Stored)>,
        version: u64,
        after: Option<Key>,
    ) -> Selected {
        let namespace = self.target.namespace.as_str();
        let all = options.labels.is_empty() && options.fields.is_empty();
        let (mut items, mut last, mut left) = (Vec::new(), None, 0_usize);
        // Version 0 takes what there is, whole.
        let limit = if options.version == "0" { 0 } else { options.limit };
        for (key, stored) in objects {
            let placed = namespace.is_empty() || key.0 == namespace;
            if !placed || after.as_ref().is_some_and(|after| key <= after) {
                continue;
            }
            if limit > 0 && items.len() == limit {
                if all || left == 0 && fits(resource, options, stored).is_some() {
                    left += 1;
                }
                continue;
            }
            if let Some(object) = fits(resource, options, stored) {
                items.push(Item::of(Some(stored), object));
                last = Some(key);
            }
        }
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let (true, Some(last)) = (left > 0, last) {
            let token = Token { version: Some(version), after: last.clone() };
            metadata["continue"] = token.written(namespace).into();
            if all {
                metadata["remainingItemCount"] = left.into();
            }
        }
        Selected { items, metadata }
    }
}

impl Selected {
    /// As the list that is asked for.
    pub(crate) fn shown(self, look: &Look, resource: &Resource) -> Result<Content, Status> {
        look.list(resource, self.items, self.metadata)
    }
}

fn fits(resource: &Arc<Resource>, options: &ListOptions, stored: &Stored) -> Option<Arc<Value>> {
    let object = view::present(resource, stored);
    (options.labels.fit(&object) && options.fields.fit(&object)).then_some(object)
}

/// Where a list goes on.
struct Token {
    /// The version of the first page; absent if it does not matter any more.
    version: Option<u64>,
    after: Key,
}

impl Token {
    /// The text of it for a list of a namespace, or of all: the place is told from there.
    fn written(&self, within: &str) -> String {
        let version = self.version.map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
        let (namespace, name) = &self.after;
        let whole = !within.is_empty() || namespace.is_empty();
        let start = if whole { format!("/{name}\0") } else { format!("/{namespace}/{name}\0") };
        let token = format!(r#"{{"v":"meta.k8s.io/v1","rv":{version},"start":{}}}"#, Value::from(start));
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token)
    }

    fn read(text: &str, within: &str) -> Result<Self, Status> {
        use base64::Engine as _;
        let wrong =
            |why: &str| bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text);
        let bytes = bytes.map_err(|why| match why {
            base64::DecodeError::InvalidByte(at, _) => {
                wrong(&format!("illegal base64 data at input byte {at}"))
            }
            other => wrong(&other.to_string()),
        })?;
        let token = crate::schema::decode(&bytes, false).map_err(|why| wrong(&why))?.object;
        if token.get("v").and_then(Value::as_str) != Some("meta.k8s.io/v1") {
            return Err(wrong("server does not recognize this encoded version"));
        }
        let start = token.get("start").and_then(Value::as_str).unwrap_or_default();
        let start = start.trim_end_matches('\0').trim_start_matches('/');
        let (namespace, name) = start.rsplit_once('/').unwrap_or((within, start));
        let version = token.get("rv").and_then(Value::as_u64);
        Ok(Self { version, after: (namespace.into(), name.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for (within, namespace) in [("a", "a"), ("", "a"), ("", "")] {
            let token = Token { version: Some(7), after: (namespace.into(), "b".into()) };
            let read = Token::read(&token.written(within), within).expect("a token");
            assert_eq!(
                (read.version, read.after),
                (Some(7), (namespace.into(), "b".into())),
                "in {within:?}"
            );
        }
    }
}
