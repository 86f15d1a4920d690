//! CustomResourceDefinitions: what they make the server serve, and what becomes of their objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::call::Call;
use super::discovery::rank;
use super::options::DeleteOptions;
use super::resource::{Custom, Resource};
use super::state::State;
use super::store::{Family, Key};
use super::{clock, meta};
use crate::schema::Schema;

/// The finalizer under which the objects of a kind are deleted.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// The group and the plural of definitions.
const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Where definitions are.
pub(crate) fn family() -> Family {
    (DEFINITIONS.0.into(), DEFINITIONS.1.into())
}

/// Whether definitions are there.
fn is_family(family: &Family) -> bool {
    (family.0.as_str(), family.1.as_str()) == DEFINITIONS
}

fn is_definition(resource: &Resource) -> bool {
    (resource.group.as_str(), resource.plural.as_str()) == DEFINITIONS
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    crate::at::at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten()
}

fn stored_version(definition: &Value) -> &str {
    let stored = versions(definition).find(|version| version.get("storage") == Some(&Value::Bool(true)));
    stored.map_or("", |version| text(version, "/name"))
}

/// Whether a deletion counts as a new generation and has a period of grace: that of a definition has neither.
pub(crate) fn is_graceful(resource: &Resource) -> bool {
    !is_definition(resource)
}

/// Adds to the finalizers of a definition that is deleted the one under which its objects are.
pub(crate) fn hold(resource: &Resource, object: &mut Value) {
    if is_definition(resource) && !meta::terminating(object) {
        let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
        if !finalizers.iter().any(|one| one == CLEANUP) {
            finalizers.push(CLEANUP.into());
        }
        meta::set_finalizers(object, &finalizers);
    }
}

/// Fills in what a definition leaves open: its defaults, which whoever writes it owns.
pub(crate) fn default(resource: &Resource, new: &mut Value) {
    if !is_definition(resource) {
        return;
    }
    let kind = text(new, "/spec/names/kind").to_owned();
    if let Some(Value::Object(names)) = new.pointer_mut("/spec/names")
        && !kind.is_empty()
    {
        names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
        names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
    }
    if let Some(Value::Object(spec)) = new.get_mut("spec") {
        spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    }
}

/// Gives a new definition its status.
pub(crate) fn prepare(resource: &Resource, new: &mut Value, old: Option<&Value>) {
    if is_definition(resource) && old.is_none() {
        new["status"] = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": [stored_version(new)]});
    }
}

fn schema(version: &Value) -> Result<Schema, Vec<crate::status::Cause>> {
    let raw = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_else(|| json!({}));
    let schema = Schema::of_crd(&raw)?;
    Ok(match version.pointer("/subresources/scale") {
        Some(scale) => schema.with_scale(scale),
        None => schema,
    })
}

/// Does what follows from a write: definitions begin and end to be served.
pub(crate) fn react(call: &mut Call<'_>, written: &Family, name: &str) {
    if is_family(written) {
        return follow(call, name);
    }
    super::protection::release(call, written);
    let ending = call.state.any_of(written).and_then(|resource| resource.custom.as_ref());
    if let Some(custom) = ending.filter(|custom| custom.terminating) {
        let definition = custom.definition.clone();
        follow(call, &definition);
    }
}

/// Brings what is served in line with a definition.
fn follow(call: &mut Call<'_>, name: &str) {
    let key = (String::new(), name.to_owned());
    let Some(stored) = call.state.store.get(&family(), &key) else {
        call.state.serve(name, Vec::new());
        return withdraw(call);
    };
    let mut definition = (*stored.value).clone();
    if meta::terminating(&definition) {
        return end(call, key, definition);
    }
    if establish(&mut definition, &clock::seconds(call.now)) {
        call.state.store.commit(&family(), key, Some((definition.clone(), 0)));
    }
    offer(call.state, &definition);
    for version in versions(&definition).filter(|version| version.get("served") == Some(&Value::Bool(true))) {
        let (group, version) = (text(&definition, "/spec/group"), text(version, "/name"));
        call.state.put_api_service(group, version, "true", call.now);
    }
}

/// Accepts the names of a definition; returns whether its status has changed.
fn establish(definition: &mut Value, now: &str) -> bool {
    let names = definition.pointer("/spec/names").cloned().unwrap_or_default();
    let stored = stored_version(definition).to_owned();
    let established = definition.pointer("/status/conditions").is_some_and(Value::is_array);
    let known =
        definition.pointer("/status/storedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
    let same = definition.pointer("/status/acceptedNames") == Some(&names);
    if established && same && known.iter().any(|one| one == stored.as_str()) {
        return false;
    }
    if !established {
        definition["status"]["conditions"] = json!([
            {"type": "NamesAccepted", "status": "True", "lastTransitionTime": now, "reason": "NoConflicts",
                "message": "no conflicts found"},
            {"type": "Established", "status": "True", "lastTransitionTime": now, "reason": "InitialNamesAccepted",
                "message": "the initial names have been accepted"}]);
    }
    definition["status"]["acceptedNames"] = names;
    let mut known = known;
    if !known.iter().any(|one| one == stored.as_str()) {
        known.push(stored.into());
    }
    definition["status"]["storedVersions"] = known.into();
    true
}

/// Serves the versions of a definition. Open watches end if something of it has changed that is seen.
fn offer(state: &mut State, definition: &Value) {
    let name = meta::text(definition, "name");
    let spec = definition.get("spec").cloned().unwrap_or_default();
    let terminating = meta::terminating(definition);
    let before = state.definition(name);
    let same = before.as_ref().is_some_and(|custom| *custom.spec == spec);
    let shape = match &before {
        Some(custom) if same && custom.terminating == terminating => return,
        Some(custom) if same => custom.shape,
        _ => state.next_shape(),
    };
    let spec = Arc::new(spec);
    let resources = served(definition, &spec, shape, terminating);
    state.serve(name, resources);
}

/// Brings what is served in line with a definition that has been stored as another server had it: that one has established it or
/// will.
pub(crate) fn recorded(state: &mut State, name: &str, definition: Option<&Value>) {
    let Some(definition) = definition else { return state.serve(name, Vec::new()) };
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    let established = |one: &Value| text(one, "/type") == "Established" && text(one, "/status") == "True";
    if conditions.into_iter().flatten().any(established) {
        offer(state, definition);
    }
}

/// Serves the definitions that are stored, each under the form that it had.
pub(crate) fn resume(state: &mut State, shapes: &BTreeMap<String, u64>) {
    let stored: Vec<Arc<Value>> =
        state.store.family(&family()).map(|(_, stored)| Arc::clone(&stored.value)).collect();
    for definition in stored {
        let name = meta::text(&definition, "name");
        let shape = shapes.get(name).copied().unwrap_or_else(|| state.next_shape());
        let spec = Arc::new(definition.get("spec").cloned().unwrap_or_default());
        let resources = served(&definition, &spec, shape, meta::terminating(&definition));
        state.serve(name, resources);
    }
}

fn served(definition: &Value, spec: &Arc<Value>, shape: u64, terminating: bool) -> Vec<Resource> {
    let stored = stored_version(definition);
    let schemas: Vec<(&Value, Arc<Schema>)> = versions(definition)
        .map(|version| (version, Arc::new(schema(version).unwrap_or_default())))
        .collect();
    let storage = schemas.iter().find(|(version, _)| text(version, "/name") == stored);
    let Some((_, storage)) = storage.cloned() else { return Vec::new() };
    let list = |pointer: &str| {
        let all = definition.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let offered = schemas.iter().filter(|(version, _)| version.get("served") == Some(&Value::Bool(true)));
    offered
        .map(|(version, schema)| {
            let has = |what: &str| version.pointer(what).is_some_and(|value| !value.is_null());
            let fields = version.get("selectableFields").and_then(Value::as_array).into_iter().flatten();
            Resource {
                group: text(definition, "/spec/group").into(),
                version: text(version, "/name").into(),
                plural: text(definition, "/spec/names/plural").into(),
                singular: text(definition, "/spec/names/singular").into(),
                kind: text(definition, "/spec/names/kind").into(),
                list_kind: text(definition, "/spec/names/listKind").into(),
                namespaced: text(definition, "/spec/scope") == "Namespaced",
                verbs: VERBS.map(str::to_owned).to_vec(),
                // Calls of the subresource scale are refused as not modelled.
                subresources: ["status", "scale"]
                    .into_iter()
                    .filter(|one| has(&format!("/subresources/{one}")))
                    .map(str::to_owned)
                    .collect(),
                modelled: true,
                generation: true,
                selectable: fields
                    .map(|one| text(one, "/jsonPath").trim_start_matches('.').to_owned())
                    .collect(),
                custom: Some(Custom {
                    definition: meta::text(definition, "name").into(),
                    spec: Arc::clone(spec),
                    storage: (stored.to_owned(), Arc::clone(&storage)),
                    schema: Arc::clone(schema),
                    shape,
                    deprecated: deprecated(definition, version),
                    columns: version
                        .get("additionalPrinterColumns")
                        .and_then(Value::as_array)
                        .cloned()
                        .unwrap_or_default(),
                    short_names: list("/spec/names/shortNames"),
                    categories: list("/spec/names/categories"),
                    terminating,
                }),
                ..Resource::default()
            }
        })
        .collect()
}

/// The warning of a deprecated version.
fn deprecated(definition: &Value, version: &Value) -> Option<String> {
    let is = |version: &Value, what: &str| version.get(what) == Some(&Value::Bool(true));
    if !is(version, "deprecated") {
        return None;
    }
    if let Some(own) = version.get("deprecationWarning").and_then(Value::as_str) {
        return Some(own.to_owned());
    }
    let (group, kind) = (text(definition, "/spec/group"), text(definition, "/spec/names/kind"));
    let name = text(version, "/name");
    let better = versions(definition)
        .filter(|one| is(one, "served") && !is(one, "deprecated"))
        .map(|one| text(one, "/name"))
        .filter(|one| rank(one) > rank(name))
        .max_by_key(|one| rank(one));
    let instead = better.map(|better| format!("; use {group}/{better} {kind}")).unwrap_or_default();
    Some(format!("{group}/{name} {kind} is deprecated{instead}"))
}

/// Deletes the objects of a definition that is being deleted, and it when there are none.
fn end(call: &mut Call<'_>, key: Key, mut definition: Value) {
    offer(call.state, &definition);
    let objects =
        (text(&definition, "/spec/group").to_owned(), text(&definition, "/spec/names/plural").to_owned());
    let keys: Vec<Key> = call.state.store.family(&objects).map(|(key, _)| key.clone()).collect();
    let there = |call: &Call<'_>, key: &Key| {
        call.state.store.get(&objects, key).filter(|stored| !meta::terminating(&stored.value)).is_some()
    };
    let Some(resource) = call.state.any_of(&objects).cloned() else { return };
    for one in keys {
        if there(call, &one) {
            // What cannot be deleted keeps the definition.
            let _ = call.remove(&resource, &one, &DeleteOptions::default());
        }
    }
    let still = call.state.store.get(&family(), &key).is_some();
    if !still || call.state.store.family(&objects).next().is_some() {
        return;
    }
    let others: Vec<String> =
        meta::finalizers(&definition).into_iter().filter(|one| *one != CLEANUP).map(str::to_owned).collect();
    meta::set_finalizers(&mut definition, &others);
    if others.is_empty() {
        let name = key.1.clone();
        call.state.store.commit(&family(), key, None);
        follow(call, &name);
    } else {
        call.state.store.commit(&family(), key, Some((definition, 0)));
    }
}

/// Removes the APIServices of versions that nobody serves any more.
fn withdraw(call: &mut Call<'_>) {
    let services = super::state::api_services();
    let gone: Vec<Key> = call
        .state
        .store
        .family(&services)
        .filter(|(_, stored)| {
            let managed = stored.value.pointer("/metadata/labels/kube-aggregator.kubernetes.io~1automanaged");
            let (group, version) = (text(&stored.value, "/spec/group"), text(&stored.value, "/spec/version"));
            managed == Some(&json!("true"))
                && !call.state.all().any(|one| one.group == group && one.version == version)
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in gone {
        call.state.store.commit(&services, key, None);
    }
}
