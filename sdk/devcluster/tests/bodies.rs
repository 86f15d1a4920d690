//! Bodies of recorded POSTs and the causes that a kube-apiserver gave: what `schema` and `kinds` say of them by themselves.

use std::collections::BTreeMap;

use devcluster::kinds;
use devcluster::kinds::metadata::{self, NameRule};
use devcluster::schema::{self, Schema};
use serde_json::{Value, json};

fn document() -> Value {
    serde_json::from_str(include_str!("data/sequences.json")).expect("the sequences")
}

fn schemas(document: &Value) -> BTreeMap<String, (String, Schema)> {
    let crds = document["crds"].as_object().expect("CRDs");
    let mut found = BTreeMap::new();
    for crd in crds.values() {
        let names = &crd["spec"]["names"];
        for version in crd["spec"]["versions"].as_array().expect("versions") {
            let schema = Schema::of_crd(&version["schema"]["openAPIV3Schema"]).expect("a schema");
            let path = format!(
                "{}/{}",
                version["name"].as_str().expect("name"),
                names["plural"].as_str().expect("plural")
            );
            found.insert(path, (names["kind"].as_str().expect("kind").to_owned(), schema));
        }
    }
    found
}

fn filled(text: &str) -> String {
    text.replace("${ns}", "n").replace("${run}", "r").replace("$ns", "n").replace("$run", "r")
}

fn body(step: &Value) -> Option<Vec<u8>> {
    if let Some(raw) = step["raw"].as_str() {
        return Some(filled(raw).into_bytes());
    }
    let mut body: Value = serde_json::from_str(&filled(&step.get("body")?.to_string())).expect("JSON");
    if let Some(large) = step.get("large") {
        let place = body.pointer_mut(large["at"].as_str().expect("at")).expect("a place");
        *place = "x".repeat(usize::try_from(large["bytes"].as_u64().expect("bytes")).expect("a size")).into();
    }
    Some(body.to_string().into_bytes())
}

/// Returns the message and the causes in the order of the player.
fn told(kind: &str, name: &str, causes: &[devcluster::status::Cause]) -> String {
    let mut texts: Vec<String> =
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    texts.sort();
    texts.dedup();
    let text = if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) };
    format!("{kind} \"{name}\" is invalid: {text}")
}

/// What this crate says of a POST: the object, or a message with a code.
fn posted(kind: &str, schema: &Schema, step: &Value) -> Result<Value, (u16, String)> {
    let version = step["path"].as_str().expect("path").split('/').nth(3).expect("a version");
    let yaml = step["headers"]["Content-Type"] == "application/yaml";
    let bad = |words: String| {
        (400, format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {words}"))
    };
    let text = body(step).expect("a body");
    let decoded = schema::decode(&text, yaml).map_err(|words| {
        match words.strip_prefix("json: cannot unmarshal number") {
            Some(_) => bad(words),
            None if yaml => (400, schema::unrecognized(kind, &words, &text)),
            None => (
                400,
                schema::unrecognized(
                    kind,
                    &format!("couldn't get version/kind; json parse error: {words}"),
                    &text,
                ),
            ),
        }
    })?;
    let mut object = decoded.object;
    schema::receive(schema, &mut object).map_err(bad)?;
    let meta = object["metadata"].as_object_mut().expect("metadata");
    metadata::dedup_owners(meta);
    meta.insert("namespace".to_owned(), "n".into());
    if let Some(prefix) =
        meta.get("generateName").and_then(Value::as_str).filter(|_| !meta.contains_key("name"))
    {
        meta.insert("name".to_owned(), format!("{prefix}x").into());
    }
    schema::default(schema, &mut object);
    let faults = metadata::check_new(&object["metadata"], true, &NameRule::Subdomain, false);
    let verdict = schema::judge(schema, &object, None, faults);
    if verdict.causes.is_empty() {
        return Ok(object);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err((422, told(&format!("{kind}.lab.example.com"), name, &verdict.causes)))
}

#[test]
fn posts_of_custom_objects_are_taken_and_refused_as_recorded() {
    let document = document();
    let schemas = schemas(&document);
    let (mut checked, mut wrong) = (0, Vec::new());
    for sequence in document["sequences"].as_array().expect("sequences") {
        for (i, step) in sequence["steps"].as_array().expect("steps").iter().enumerate() {
            let Some(rest) =
                step["path"].as_str().and_then(|path| path.strip_prefix("/apis/lab.example.com/"))
            else {
                continue;
            };
            let plural = rest.replace("namespaces/${ns}/", "");
            let (Some((kind, schema)), true, Some(text)) = (
                schemas.get(&plural).filter(|_| !plural.starts_with("v1beta1")),
                step["method"] == "POST",
                body(step),
            ) else {
                continue;
            };
            let answer = &step["answer"];
            let code = answer["code"].as_u64().expect("a code");
            let message = answer["body"]["message"]
                .as_str()
                .or(answer["body"]["/message"].as_str())
                .unwrap_or_default();
            // What needs a server: other codes, what is stored already, policies.
            let ours = match code {
                201 => true,
                400 if message.contains("struct {") || message.contains(".apiVersion of type") => false,
                400 => {
                    message.contains("cannot be handled")
                        || message.contains("parse error")
                        || message.contains("yaml:")
                }
                422 => message.starts_with(&format!("{kind}.")) && !message.contains("must be "),
                _ => false,
            } || (code == 422 && message.contains(" is invalid: ") && message.contains("in body"));
            if !ours || text.len() > 1_500_000 || step["query"]["fieldValidation"] == "Strict" {
                continue;
            }
            checked += 1;
            let got = posted(kind, schema, step);
            let agrees = match &got {
                Ok(object) => {
                    let spec = answer["body"].get("/spec").or(answer["body"].get("spec"));
                    let same = |want: &Value| {
                        schema::go::json(&json!({"s": object["spec"]})).replace("1.0", "1").len() > 1
                            && numbers(want) == object["spec"]
                    };
                    code == 201 && spec.is_none_or(same)
                }
                Err((refused, text)) => u64::from(*refused) == code && *text == filled(message),
            };
            if !agrees {
                wrong.push(format!("{} {}: {code} {message}\n   got {got:?}", sequence["name"], i + 1));
            }
        }
    }
    assert!(
        checked > 100 && wrong.is_empty(),
        "{checked} checked, {} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Returns a recorded value with the floats that the player writes as text.
fn numbers(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("$float:") {
            Some(number) => number.parse::<f64>().expect("a number").into(),
            None => filled(text).into(),
        },
        Value::Array(items) => items.iter().map(numbers).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), numbers(value))).collect(),
        other => other.clone(),
    }
}

/// Returns group, version and kind of a path that creates objects of a built-in kind.
fn builtin(path: &str) -> Option<(&'static str, &'static str, bool)> {
    let plain = path.replace("namespaces/${ns}/", "");
    Some(match plain.as_str() {
        "/api/v1/secrets" => ("", "Secret", true),
        "/api/v1/configmaps" => ("", "ConfigMap", true),
        "/api/v1/pods" => ("", "Pod", true),
        "/api/v1/namespaces" => ("", "Namespace", false),
        "/apis/batch/v1/jobs" => ("batch", "Job", true),
        "/apis/apps/v1/controllerrevisions" => ("apps", "ControllerRevision", true),
        "/apis/coordination.k8s.io/v1/leases" => ("coordination.k8s.io", "Lease", true),
        "/apis/events.k8s.io/v1/events" => ("events.k8s.io", "Event", true),
        _ => return None,
    })
}

fn made(group: &str, kind: &str, is_namespaced: bool, step: &Value) -> Result<Value, (u16, String)> {
    let decoded = schema::decode(&body(step).expect("a body"), false).map_err(|words| (400, words))?;
    let mut object = decoded.object;
    kinds::decode::object(group, "v1", kind, &mut object)
        .map_err(|words| (400, format!("{kind} in version \"v1\" cannot be handled as a {kind}: {words}")))?;
    kinds::default(group, "v1", kind, &mut object);
    let meta = object["metadata"].as_object_mut().expect("metadata");
    meta.insert("uid".to_owned(), "u".into());
    if is_namespaced {
        meta.insert("namespace".to_owned(), "n".into());
    }
    if let Some(prefix) =
        meta.get("generateName").and_then(Value::as_str).filter(|_| !meta.contains_key("name"))
    {
        meta.insert("name".to_owned(), format!("{prefix}x").into());
    }
    kinds::prepare(group, "v1", kind, "", &mut object, None);
    let write = kinds::Write { group, kind, is_namespaced, subresource: "", is_patch: false };
    let causes = kinds::check(&write, &object, None);
    if causes.is_empty() {
        return Ok(object);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let named = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    Err((422, told(&named, name, &causes)))
}

#[test]
fn posts_of_built_in_kinds_are_taken_and_refused_as_recorded() {
    let document = document();
    let (mut checked, mut wrong) = (0, Vec::new());
    for sequence in document["sequences"].as_array().expect("sequences") {
        for (i, step) in sequence["steps"].as_array().expect("steps").iter().enumerate() {
            let (Some(path), true) = (step["path"].as_str(), step["method"] == "POST") else { continue };
            let (Some((group, kind, namespaced)), Some(text)) = (builtin(path), body(step)) else { continue };
            let answer = &step["answer"];
            let code = answer["code"].as_u64().expect("a code");
            let message = answer["body"]["message"]
                .as_str()
                .or(answer["body"]["/message"].as_str())
                .unwrap_or_default();
            let ours = match code {
                201 => true,
                400 => {
                    message.contains("json: cannot unmarshal") && !message.contains("struct {")
                        || message.contains("parsing time")
                }
                422 => message.contains(" is invalid: "),
                _ => false,
            };
            if !ours || text.len() > 3_000_000 {
                continue;
            }
            checked += 1;
            let got = made(group, kind, namespaced, step);
            let without_uid =
                |text: &str| (1..9).fold(filled(text), |text, i| text.replace(&format!("$uid{i}"), "u"));
            let agrees = match &got {
                Ok(object) => {
                    let fields = ["spec", "data", "type", "revision", "status"];
                    let same = |field: &&str| {
                        let want = answer["body"].get(format!("/{field}")).or(answer["body"].get(field));
                        want.is_none_or(|want| {
                            let want =
                                serde_json::from_str::<Value>(&without_uid(&numbers(want).to_string()))
                                    .expect("JSON");
                            want == object[field] || want.is_null()
                        })
                    };
                    code == 201 && fields.iter().all(same)
                }
                Err((refused, text)) => u64::from(*refused) == code && *text == without_uid(message),
            };
            if !agrees {
                wrong.push(format!(
                    "{} {}: {code} {message} {}\n   got {got:?}",
                    sequence["name"],
                    i + 1,
                    answer["body"]
                ));
            }
        }
    }
    assert!(
        checked > 40 && wrong.is_empty(),
        "{checked} checked, {} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
