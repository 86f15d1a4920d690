//! Walks two CRDs side by side and collects every difference. An unknown keyword is an error, so that the walk misses
//! none.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value, json};

/// One difference between upstream's CRD and ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// Name of the CRD.
    pub(crate) crd: String,
    /// Place, such as `.status.conditions[].reason`, or a part of the CRD beside the schema.
    pub(crate) at: String,
    /// The keyword.
    pub(crate) keyword: String,
    /// Effect of the difference.
    pub(crate) effect: Effect,
    /// Upstream's value and ours.
    pub(crate) values: String,
}

/// The effect of a difference on an object that is valid upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Ours has something that upstream does not have; objects without it are valid.
    Added,
    /// Ours accepts more.
    Laxer,
    /// Ours may refuse what upstream accepts, or read it differently.
    Narrower,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {} {}: {}", self.effect, self.crd, self.at, self.keyword, self.values)
    }
}

/// The comparison of two CRDs.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Number of upstream's properties and facts compared.
    pub(crate) properties: usize,
    pub(crate) facts: usize,
    pub(crate) differences: Vec<Difference>,
    crd: String,
}

impl Walk {
    /// Compares everything in `upstream` with `ours`.
    pub(crate) fn crd(&mut self, upstream: &Value, ours: &Value) {
        self.crd = text(&upstream["metadata"]["name"]);
        self.equal("metadata", "name", &upstream["metadata"], &ours["metadata"]);
        for (key, value) in entries(&upstream["metadata"]["annotations"]) {
            self.facts += 1;
            let own = &ours["metadata"]["annotations"][key];
            if own != value {
                self.differ("metadata.annotations", key, Effect::Narrower, value, own);
            }
        }
        for keyword in ["group", "scope"] {
            self.equal("spec", keyword, &upstream["spec"], &ours["spec"]);
        }
        self.same_keys("spec", &upstream["spec"], &["group", "names", "scope", "versions"]);
        for keyword in ["kind", "listKind", "plural", "singular"] {
            self.equal("spec.names", keyword, &upstream["spec"]["names"], &ours["spec"]["names"]);
        }
        self.same_keys("spec.names", &upstream["spec"]["names"], &["kind", "listKind", "plural", "singular"]);
        for short_name in list(&ours["spec"]["names"]["shortNames"]) {
            self.differ("spec.names", "shortNames", Effect::Added, &Value::Null, short_name);
        }
        let (versions, own) = (list(&upstream["spec"]["versions"]), list(&ours["spec"]["versions"]));
        assert_eq!((versions.len(), own.len()), (1, 1), "one version");
        self.version(&versions[0], &own[0]);
    }

    fn version(&mut self, upstream: &Value, ours: &Value) {
        for keyword in ["name", "served", "storage"] {
            self.equal("version", keyword, upstream, ours);
        }
        self.same_keys(
            "version",
            upstream,
            &[
                "name",
                "served",
                "storage",
                "subresources",
                "schema",
                "additionalPrinterColumns",
                "selectableFields",
            ],
        );
        self.subset("subresources", &upstream["subresources"], &ours["subresources"]);
        // Names identify columns. Upstream's come first, for scripts that cut columns.
        let (columns, own) =
            (list(&upstream["additionalPrinterColumns"]), list(&ours["additionalPrinterColumns"]));
        for (i, column) in columns.iter().enumerate() {
            for keyword in ["name", "type", "jsonPath", "format", "priority"] {
                self.equal(&format!("column {i}"), keyword, column, own.get(i).unwrap_or(&Value::Null));
            }
        }
        for column in own.iter().skip(columns.len()) {
            self.differ("columns", &text(&column["name"]), Effect::Added, &Value::Null, &column["jsonPath"]);
        }
        let (fields, own) = (list(&upstream["selectableFields"]), list(&ours["selectableFields"]));
        for field in fields {
            self.facts += 1;
            if !own.contains(field) {
                self.differ(
                    "selectableFields",
                    &text(&field["jsonPath"]),
                    Effect::Narrower,
                    field,
                    &Value::Null,
                );
            }
        }
        self.schema("", &upstream["schema"]["openAPIV3Schema"], &ours["schema"]["openAPIV3Schema"]);
    }

    fn schema(&mut self, at: &str, upstream: &Value, ours: &Value) {
        let (up, own) = (as_map(upstream), as_map(ours));
        let keywords: BTreeSet<&String> = up.keys().chain(own.keys()).collect();
        for keyword in keywords {
            let (theirs, mine) = (&upstream[keyword.as_str()], &ours[keyword.as_str()]);
            match keyword.as_str() {
                "description" => {}
                "properties" => self.properties(at, upstream, ours),
                "items" => self.inner(&format!("{at}[]"), keyword, theirs, mine),
                "additionalProperties" => self.inner(&format!("{at}{{}}"), keyword, theirs, mine),
                _ => {
                    self.facts += usize::from(!theirs.is_null());
                    if let Some(effect) = effect(keyword, theirs, mine) {
                        self.differ(at, keyword, effect, theirs, mine);
                    }
                }
            }
        }
    }

    fn properties(&mut self, at: &str, upstream: &Value, ours: &Value) {
        let (theirs, mine) = (&upstream["properties"], &ours["properties"]);
        for (name, schema) in entries(theirs) {
            self.properties += 1;
            let at = format!("{at}.{name}");
            match mine.get(name) {
                Some(own) => self.schema(&at, schema, own),
                // The API server stores it unchecked.
                None if keeps_unknown(ours) => {
                    self.differ(&at, "property", Effect::Laxer, &json!("typed"), &json!("kept"))
                }
                None => self.differ(&at, "property", Effect::Narrower, &json!("typed"), &Value::Null),
            }
        }
        for (name, schema) in entries(mine).filter(|(name, _)| theirs.get(name).is_none()) {
            self.differ(&format!("{at}.{name}"), "property", Effect::Added, &Value::Null, &schema["type"]);
        }
    }

    fn inner(&mut self, at: &str, keyword: &str, theirs: &Value, mine: &Value) {
        if theirs.is_object() && mine.is_object() {
            self.facts += 1;
            self.schema(at, theirs, mine);
        } else {
            self.differ(at, keyword, Effect::Narrower, theirs, mine);
        }
    }

    fn equal(&mut self, at: &str, keyword: &str, upstream: &Value, ours: &Value) {
        let (theirs, mine) = (&upstream[keyword], &ours[keyword]);
        self.facts += usize::from(!theirs.is_null());
        if theirs != mine {
            self.differ(at, keyword, Effect::Narrower, theirs, mine);
        }
    }

    fn subset(&mut self, at: &str, upstream: &Value, ours: &Value) {
        for (key, value) in entries(upstream) {
            self.facts += 1;
            if ours.get(key) != Some(value) {
                self.differ(at, key, Effect::Narrower, value, &ours[key.as_str()]);
            }
        }
        for (key, value) in entries(ours).filter(|(key, _)| upstream.get(key).is_none()) {
            self.differ(at, key, Effect::Added, &Value::Null, value);
        }
    }

    fn same_keys(&self, at: &str, upstream: &Value, known: &[&str]) {
        for (key, _) in entries(upstream) {
            assert!(known.contains(&key.as_str()), "{}: {at}.{key} is not compared", self.crd);
        }
    }

    fn differ(&mut self, at: &str, keyword: &str, effect: Effect, theirs: &Value, mine: &Value) {
        self.differences.push(Difference {
            crd: self.crd.clone(),
            at: at.to_owned(),
            keyword: keyword.to_owned(),
            effect,
            values: format!("{theirs} -> {mine}"),
        });
    }
}

/// Returns the effect of the difference between two values of a keyword; none if they are equal.
fn effect(keyword: &str, theirs: &Value, mine: &Value) -> Option<Effect> {
    let laxer_if = |laxer: bool| Some(if laxer { Effect::Laxer } else { Effect::Narrower });
    match keyword {
        _ if theirs == mine => None,
        // A list without a type is atomic.
        "x-kubernetes-list-type" if theirs == "atomic" && mine.is_null() => None,
        "required" => {
            let (theirs, mine): (BTreeSet<_>, BTreeSet<_>) = (words(theirs), words(mine));
            (theirs != mine).then(|| if mine.is_subset(&theirs) { Effect::Laxer } else { Effect::Narrower })
        }
        "enum" => {
            let (theirs, mine): (BTreeSet<_>, BTreeSet<_>) = (words(theirs), words(mine));
            (theirs != mine).then(|| if mine.is_superset(&theirs) { Effect::Laxer } else { Effect::Narrower })
        }
        "minimum" | "minLength" | "minItems" => match (theirs.as_f64(), mine.as_f64()) {
            (Some(a), Some(b)) if a == b => None,
            (a, b) => laxer_if(b.is_none_or(|b| a.is_some_and(|a| b <= a))),
        },
        "maximum" | "maxLength" | "maxItems" => match (theirs.as_f64(), mine.as_f64()) {
            (Some(a), Some(b)) if a == b => None,
            (a, b) => laxer_if(b.is_none_or(|b| a.is_some_and(|a| b >= a))),
        },
        "pattern" | "format" | "x-kubernetes-validations" => laxer_if(mine.is_null()),
        "x-kubernetes-preserve-unknown-fields" => laxer_if(mine == true),
        "type"
        | "default"
        | "nullable"
        | "anyOf"
        | "x-kubernetes-int-or-string"
        | "x-kubernetes-list-map-keys"
        | "x-kubernetes-list-type"
        | "x-kubernetes-map-type" => Some(Effect::Narrower),
        other => panic!("the walk does not know keyword {other:?}"),
    }
}

fn keeps_unknown(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

fn words(value: &Value) -> BTreeSet<String> {
    list(value).iter().map(ToString::to_string).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn as_map(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("a schema is an object")
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}
