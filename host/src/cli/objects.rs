//! Objects in files: each is found by its kind, since a file may hold several.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use backstay_core::contract::{GroupKind, Json};

use crate::yaml::{self, kind};

/// The objects of a file.
pub(crate) struct Objects<'a> {
    path: &'a Path,
    all: Vec<Json>,
}

impl<'a> Objects<'a> {
    /// Reads a file as kubectl does. The items of a `List` are objects of the file.
    pub(crate) fn read(path: &'a Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut all = Vec::new();
        for object in yaml::objects(&text).with_context(|| format!("{} is not YAML", path.display()))? {
            let is_list = object["kind"] == "List" && object["apiVersion"] == "v1";
            match object {
                Json::Object(mut list) if is_list => {
                    let items = list.remove("items").unwrap_or_default();
                    all.extend(items.as_array().cloned().unwrap_or_default());
                }
                object => all.push(object),
            }
        }
        if let Some(other) = all.iter().find(|object| !object.is_object()) {
            bail!("{}: {other} is not an object with apiVersion and kind", path.display());
        }
        Ok(Self { path, all })
    }

    /// Returns all objects of the file.
    #[cfg(feature = "dev")]
    pub(crate) fn all(self) -> Vec<Json> {
        self.all
    }

    /// Returns the one object that `fits`. The only object of a file is that one in any case, and later checks say what is wrong
    /// with it. `what` names it in messages.
    pub(crate) fn one(mut self, what: &str, fits: impl Fn(&GroupKind) -> bool) -> anyhow::Result<Json> {
        if self.all.len() == 1 {
            return Ok(self.all.remove(0));
        }
        let mut fitting: Vec<_> = self.all.iter().filter(|object| fits(&kind(object))).collect();
        match (fitting.pop(), fitting.is_empty()) {
            (Some(one), true) => Ok(one.clone()),
            (None, _) if self.all.is_empty() => Err(anyhow!("{}: there is no object", self.path.display())),
            (found, _) => {
                let which = if found.is_none() { "none" } else { "more than one" };
                Err(anyhow!(
                    "{}: {which} of the objects is {what} ({}); put it into a file of its own",
                    self.path.display(),
                    self.all.iter().map(title).collect::<Vec<_>>().join(", ")
                ))
            }
        }
    }
}

fn title(object: &Json) -> String {
    format!("{} {}", kind(object), object["metadata"]["name"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, text: &str) -> Result<Json, String> {
        let file = std::env::temp_dir().join(format!("backstay-objects-{}-{name}.yaml", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let wanted = |of: &GroupKind| of.kind == "Redis";
        let found = Objects::read(&file).and_then(|objects| objects.one("a Redis", wanted));
        std::fs::remove_file(&file).unwrap();
        found.map_err(|error| format!("{error:#}").replace(&file.display().to_string(), "FILE"))
    }

    const REDIS: &str = "apiVersion: apps.cozystack.io/v1\nkind: Redis\nmetadata: {name: cache}\n";
    const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\n";

    #[test]
    fn of_several_objects_the_one_of_the_kind_is_taken() {
        for (name, text) in
            [("first", format!("{REDIS}---\n{SECRET}")), ("last", format!("{SECRET}---\n{REDIS}"))]
        {
            assert_eq!(given(name, &text).unwrap()["metadata"]["name"], "cache");
        }
        let list = "apiVersion: v1\nkind: List\nitems:\n- {kind: Secret}\n- {kind: Redis, metadata: {name: listed}}\n";
        assert_eq!(given("list", list).unwrap()["metadata"]["name"], "listed");
    }

    #[test]
    fn the_only_object_is_judged_later() {
        assert_eq!(given("only", SECRET).unwrap()["kind"], "Secret");
    }

    #[test]
    fn where_the_kind_does_not_decide_the_message_names_what_there_is() {
        assert_eq!(
            given("two", &format!("{REDIS}---\n{SECRET}---\n{REDIS}")).unwrap_err(),
            "FILE: more than one of the objects is a Redis (Redis.apps.cozystack.io \"cache\", Secret \"key\", Redis.apps.cozystack.io \"cache\"); put it into a file of its own"
        );
        assert_eq!(
            given("none", &format!("{SECRET}---\n{SECRET}")).unwrap_err(),
            "FILE: none of the objects is a Redis (Secret \"key\", Secret \"key\"); put it into a file of its own"
        );
        assert_eq!(given("empty", "# nothing\n").unwrap_err(), "FILE: there is no object");
        assert_eq!(
            given("text", "Redis\n").unwrap_err(),
            "FILE: \"Redis\" is not an object with apiVersion and kind"
        );
        assert_eq!(given("broken", "a: [\n").unwrap_err().split(':').next(), Some("FILE is not YAML"));
    }
}
