//! Answers without what differs between runs: uids, versions, times and generated names become placeholders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};
use serde_json::{Map, Value};

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static UUID: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"));
static MOMENT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b20(?:2[3-9]|[3-9][0-9])-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})",
    )
});
static IN_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(ResourceVersion in (?:record|the precondition) \(|ResourceVersion in (?:precondition|object meta): |resourceVersion: ")([0-9]+)"#,
    )
});
static PATCHED: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(?s)Invalid value: "(?:\{\\".*\}|map\[.*\])": "#));
static NOW: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(resource version: [0-9]+ \(|resource version: [0-9]+, current: )[0-9]+"));
static GENERATED: LazyLock<Regex> = LazyLock::new(|| regex(r"^[bcdfghjklmnpqrstvwxz2456789]{5}$"));

/// The placeholders of one sequence.
pub(crate) struct Canon {
    namespace: String,
    run: String,
    strip: Vec<String>,
    uids: BTreeMap<String, String>,
    /// Generated names and what they become, in the order in which they appeared.
    generated: Vec<(String, String)>,
    versions: BTreeSet<u64>,
}

/// Whether the version of a thing is that of the store.
fn is_whole(node: &Map<String, Value>) -> bool {
    let kind = node.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("List") || kind == "Table"
}

fn is_event(node: &Map<String, Value>) -> bool {
    node.len() == 2 && node.contains_key("type") && node.contains_key("object")
}

impl Canon {
    pub(crate) fn new(namespace: &str, run: &str, strip: &Value) -> Self {
        let strip =
            strip.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            namespace: namespace.to_owned(),
            run: run.to_owned(),
            strip,
            uids: BTreeMap::new(),
            generated: Vec::new(),
            versions: BTreeSet::new(),
        }
    }

    /// The first pass: which versions and which generated names there are.
    pub(crate) fn learn(&mut self, node: &Value, bookmark: bool) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.learn(item, false)),
            Value::Object(node) if is_event(node) => {
                self.learn(&node["object"], node["type"] == "BOOKMARK");
            }
            Value::Object(node) => {
                if let Some(Value::Object(metadata)) = node.get("metadata") {
                    self.learn_metadata(metadata, is_whole(node) || bookmark);
                }
                node.values().for_each(|value| self.learn(value, false));
            }
            _ => {}
        }
    }

    /// A generated name that only a refusal tells.
    pub(crate) fn learn_refused(&mut self, body: &Value, answer: &Value) {
        let prefix = body.pointer("/metadata/generateName").and_then(Value::as_str).unwrap_or_default();
        let name = answer.pointer("/details/name").filter(|_| answer["kind"] == "Status");
        if let (false, Some(name)) = (prefix.is_empty(), name) {
            let metadata = serde_json::json!({"generateName": prefix, "name": name});
            metadata.as_object().into_iter().for_each(|metadata| self.learn_metadata(metadata, true));
        }
    }

    fn learn_metadata(&mut self, metadata: &Map<String, Value>, whole: bool) {
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
        if let (false, Ok(version)) = (whole, text("resourceVersion").parse()) {
            self.versions.insert(version);
        }
        let prefix: String = text("generateName").chars().take(58).collect();
        let name = text("name");
        let Some(rest) =
            name.strip_prefix(prefix.as_str()).filter(|_| !prefix.is_empty() && !name.is_empty())
        else {
            return;
        };
        if !self.generated.iter().any(|(known, _)| known == name) {
            let doubt = if GENERATED.is_match(rest) { "" } else { "?" };
            let mark = format!("{prefix}$gen{}{doubt}", self.generated.len() + 1);
            self.generated.push((name.to_owned(), mark));
        }
    }

    /// The place of a version among those of objects, and whether it is one of them.
    fn rank(&self, version: u64) -> (usize, bool) {
        (self.versions.range(..=version).count(), self.versions.contains(&version))
    }

    fn text(&mut self, value: &str) -> String {
        let mut value = value.replace(&self.namespace, "$ns").replace(&self.run, "$run");
        for (name, mark) in &self.generated {
            value = value.replace(name, mark);
        }
        let uids = &mut self.uids;
        let value = UUID.replace_all(&value, |found: &Captures<'_>| {
            if found[0].starts_with("00000000") {
                return found[0].to_owned();
            }
            let next = format!("$uid{}", uids.len() + 1);
            uids.entry(found[0].to_owned()).or_insert(next).clone()
        });
        let value = MOMENT.replace_all(&value, |found: &Captures<'_>| {
            if found.get(1).is_some() { "$microtime" } else { "$time" }.to_owned()
        });
        let value = IN_TEXT.replace_all(&value, |found: &Captures<'_>| {
            let version: u64 = found[2].parse().unwrap_or(0);
            let shown = match self.rank(version) {
                (rank, true) => format!("$rv{rank}"),
                _ if version > 1 => "$now".to_owned(),
                _ => found[2].to_owned(),
            };
            format!("{}{shown}", &found[1])
        });
        let value =
            PATCHED.replace_all(&value, |_: &Captures<'_>| "Invalid value: \"$patched\": ".to_owned());
        NOW.replace_all(&value, |found: &Captures<'_>| format!("{}$now", &found[1])).into_owned()
    }

    /// The second pass: a value with its placeholders.
    pub(crate) fn put(&mut self, node: &Value, bookmark: bool) -> Value {
        match node {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.put(item, false)).collect(),
            Value::Object(node) if is_event(node) => {
                let object = self.put(&node["object"], node["type"] == "BOOKMARK");
                serde_json::json!({"type": node["type"], "object": object})
            }
            Value::Object(node) => {
                let node = ordered(node);
                let mut out = Map::new();
                for (key, value) in &node {
                    match value {
                        Value::Object(metadata) if key == "metadata" => {
                            out.insert(key.clone(), self.metadata(metadata, is_whole(&node) || bookmark));
                        }
                        value => {
                            let key = self.text(key);
                            out.insert(key, self.put(value, false));
                        }
                    }
                }
                out.into()
            }
            other => other.clone(),
        }
    }

    fn metadata(&mut self, metadata: &Map<String, Value>, whole: bool) -> Value {
        let mut out = Map::new();
        let strip = self.strip.clone();
        for (key, value) in metadata.iter().filter(|(key, _)| !strip.contains(key)) {
            let version = value.as_str().and_then(|text| text.parse().ok());
            let put = match (key.as_str(), version) {
                ("resourceVersion", Some(version)) => match self.rank(version) {
                    (rank, true) if !whole => format!("$rv{rank}").into(),
                    (rank, _) => format!(">=$rv{rank}").into(),
                },
                ("continue", _) if value != "" => "$continue".into(),
                _ => self.put(value, false),
            };
            out.insert(key.clone(), put);
        }
        out.into()
    }
}

/// A Status with its causes in order, a list of resources by their names.
pub(crate) fn ordered(node: &Map<String, Value>) -> Map<String, Value> {
    let mut node = node.clone();
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    if node.get("kind").is_some_and(|kind| kind == "APIResourceList")
        && let Some(Value::Array(resources)) = node.get_mut("resources")
    {
        resources.sort_by_key(|one| text(one, "name"));
    }
    let status = node.get("kind").is_some_and(|kind| kind == "Status");
    if let (true, Some(Value::String(message))) = (status, node.get_mut("message"))
        && let Some((head, lines)) = message.split_once("errors:\n  ")
    {
        // Fields are looked at in the order of a Go map.
        let mut lines: Vec<&str> = lines.split("\n  ").collect();
        lines.sort_unstable();
        *message = format!("{head}errors:\n  {}", lines.join("\n  "));
    }
    if let (true, Some(Value::String(message))) = (status, node.get_mut("message"))
        && message.starts_with("Apply failed with ")
    {
        // The order of the managers depends on the second in which they wrote.
        let mut blocks: Vec<&str> = message.split("\nconflict").collect();
        if let Some((head, first)) = blocks.first().and_then(|block| block.split_once(": conflict")) {
            blocks[0] = first;
            blocks.sort_unstable();
            *message = format!("{head}: conflict{}", blocks.join("\nconflict"));
        }
    }
    let message = node.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let causes = node.get_mut("details").and_then(|details| details.get_mut("causes"));
    if let (true, Some(Value::Array(causes))) = (status, causes) {
        causes.sort_by_key(|cause| (text(cause, "field"), text(cause, "message")));
        let mut texts: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message")))
            .collect();
        // A cause that is there twice is told once.
        texts.dedup();
        let joined = texts.join(", ");
        let letters = |text: &str| {
            let mut letters: Vec<char> = text.chars().collect();
            letters.sort_unstable();
            letters
        };
        if let Some((head, rest)) = message.split_once(" is invalid: [")
            && letters(&joined) == letters(rest.strip_suffix(']').unwrap_or(rest))
        {
            node.insert("message".into(), format!("{head} is invalid: [{joined}]").into());
        }
    }
    node
}
