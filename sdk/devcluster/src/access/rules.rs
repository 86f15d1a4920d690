//! Rules of roles: what they allow, and whether they cover others.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Attributes;
use crate::schema::go::quote;

/// A rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rule {
    pub(super) verbs: Vec<String>,
    pub(super) api_groups: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    pub(super) paths: Vec<String>,
}

fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|one| one == "*" || one == value)
}

fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|start| path.starts_with(start))
}

impl Rule {
    /// Returns the rules of a role as it is stored; what cannot be read is no rule.
    pub(super) fn of(role: &Value) -> Vec<Self> {
        let rules = role.get("rules").and_then(Value::as_array).into_iter().flatten();
        rules.filter_map(|rule| Self::deserialize(rule).ok()).collect()
    }

    fn names_resource(&self, resource: &str, subresource: &str) -> bool {
        has(&self.resources, resource)
            || !subresource.is_empty()
                && self.resources.iter().any(|one| one.strip_prefix("*/") == Some(subresource))
    }

    /// Returns whether it allows what is asked for.
    pub(super) fn allows(&self, asked: &Attributes) -> bool {
        if !has(&self.verbs, asked.verb) {
            return false;
        }
        if asked.resource.is_empty() && !asked.path.is_empty() {
            return self.paths.iter().any(|pattern| path_matches(pattern, asked.path));
        }
        has(&self.api_groups, asked.group)
            && self.names_resource(&asked.combined(), asked.subresource)
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == asked.name))
    }

    /// Returns it in rules of one verb each, and of one group, resource and name or of one path.
    pub(super) fn parts(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let mut parts = Vec::new();
        for (group, resource) in self
            .api_groups
            .iter()
            .flat_map(|group| self.resources.iter().map(move |resource| (group, resource)))
        {
            for verb in &self.verbs {
                let part = Self {
                    verbs: one(verb),
                    api_groups: one(group),
                    resources: one(resource),
                    ..Self::default()
                };
                if self.resource_names.is_empty() {
                    parts.push(part);
                } else {
                    parts.extend(
                        self.resource_names
                            .iter()
                            .map(|name| Self { resource_names: one(name), ..part.clone() }),
                    );
                }
            }
        }
        let paths = self.paths.iter().flat_map(|path| self.verbs.iter().map(move |verb| (path, verb)));
        parts.extend(paths.map(|(path, verb)| Self {
            verbs: one(verb),
            paths: one(path),
            ..Self::default()
        }));
        parts
    }

    /// Returns whether it covers a part of another.
    pub(super) fn covers(&self, part: &Self) -> bool {
        let all = |mine: &[String], theirs: &[String]| theirs.iter().all(|one| has(mine, one));
        let resource = |one: &String| {
            self.names_resource(one, one.split_once('/').map_or("", |(_, subresource)| subresource))
        };
        all(&self.verbs, &part.verbs)
            && all(&self.api_groups, &part.api_groups)
            && part.resources.iter().all(resource)
            && part.paths.iter().all(|path| self.paths.iter().any(|pattern| path_matches(pattern, path)))
            && (self.resource_names.is_empty()
                || !part.resource_names.is_empty()
                    && part.resource_names.iter().all(|name| self.resource_names.contains(name)))
    }

    /// Returns it with another of the same groups, resources and names, if it is of that kind.
    pub(super) fn joins(&mut self, other: &Self) -> bool {
        let same = self.paths.is_empty()
            && other.paths.is_empty()
            && (&self.api_groups, &self.resources, &self.resource_names)
                == (&other.api_groups, &other.resources, &other.resource_names);
        if same {
            let new: Vec<_> = other.verbs.iter().filter(|verb| !self.verbs.contains(verb)).cloned().collect();
            self.verbs.extend(new);
        }
        same
    }

    /// Returns it as the API server prints it in a refusal.
    pub(super) fn words(&self) -> String {
        let lists = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.paths),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let lists = lists
            .iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| format!("{name}:{}", quoted(list)));
        format!("{{{}}}", lists.collect::<Vec<_>>().join(", "))
    }

    /// Returns it as SelfSubjectRulesReview lists it: of resources, or of paths.
    pub(super) fn listed(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs});
        let lists = [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("resourceNames", &self.resource_names),
            ("nonResourceURLs", &self.paths),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            rule[name] = json!(list);
        }
        rule
    }
}

/// Returns a list as `%q` prints it.
pub(super) fn quoted(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|one| quote(one)).collect::<Vec<_>>().join(" "))
}
