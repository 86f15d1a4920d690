//! The environment of a container, and what is put into it: values of fields, of Secrets and of ConfigMaps.

use std::collections::BTreeMap;

use serde_json::Value;

use super::quantity;
use crate::client::{items, pairs, text};

/// Objects of the pod's namespace that the pod names: by resource (`secrets`) and name.
pub(super) type Objects = BTreeMap<(String, String), Value>;

/// Returns the data of a Secret or ConfigMap, decoded.
#[must_use]
pub(super) fn data(resource: &str, object: &Value) -> BTreeMap<String, Vec<u8>> {
    let encoded = if resource == "secrets" { "/data" } else { "/binaryData" };
    let plain = pairs(object, "/data").filter(|_| resource != "secrets");
    let plain = plain.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    let decoded = pairs(object, encoded).map(|(key, value)| (key.to_owned(), base64(value)));
    plain.chain(decoded).collect()
}

/// Returns what base64 stands for; nothing if it is none.
fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

/// Replaces `$(NAME)` by the value of a variable; `$$` stands for `$`, and what is not known stays as it is.
#[must_use]
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('$') {
        done.push_str(head);
        let reference = tail.strip_prefix('(').and_then(|tail| tail.split_once(')'));
        rest = match (reference, tail.strip_prefix('$')) {
            (_, Some(after)) => {
                done.push('$');
                after
            }
            (Some((name, after)), _) => {
                match variables.get(name) {
                    Some(value) => done.push_str(value),
                    None => done.push_str(&format!("$({name})")),
                }
                after
            }
            _ => {
                done.push('$');
                tail
            }
        };
    }
    done + rest
}

/// Returns the variables of a container.
///
/// # Errors
/// The kubelet's words for what is not there yet, or what the local node cannot tell.
pub(super) fn variables(
    pod: &Value,
    container: &Value,
    objects: &Objects,
) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for source in items(container, "/envFrom") {
        for (resource, field) in [("configmaps", "configMapRef"), ("secrets", "secretRef")] {
            let Some(reference) = source.get(field) else { continue };
            let Some(object) = referenced(resource, reference, objects)? else { continue };
            for (key, value) in data(resource, object) {
                let plain = resource == "secrets" || object["data"].get(&key).is_some();
                if plain {
                    let name = format!("{}{key}", text(source, "/prefix"));
                    all.insert(name, String::from_utf8_lossy(&value).into_owned());
                }
            }
        }
    }
    for variable in items(container, "/env") {
        let value = match text(variable, "/value") {
            "" => match variable.get("valueFrom").filter(|source| !source.is_null()) {
                Some(source) => sourced(pod, container, source, objects)?,
                None => Some(String::new()),
            },
            value => Some(expand(value, &all)),
        };
        all.extend(value.map(|value| (text(variable, "/name").to_owned(), value)));
    }
    Ok(all)
}

/// Returns an object that a reference names, or nothing if it is optional and absent.
///
/// # Errors
/// It is absent, in the API server's words.
pub(super) fn referenced<'a>(
    resource: &str,
    reference: &Value,
    objects: &'a Objects,
) -> Result<Option<&'a Value>, String> {
    let name = ["/name", "/secretName"].map(|at| text(reference, at)).concat();
    let optional = reference["optional"].as_bool().unwrap_or_default();
    match objects.get(&(resource.to_owned(), name.clone())) {
        Some(object) => Ok(Some(object)),
        None if optional => Ok(None),
        None => {
            let kind = if resource == "secrets" { "secret" } else { "configmap" };
            Err(format!("{kind} \"{name}\" not found"))
        }
    }
}

fn sourced(
    pod: &Value,
    container: &Value,
    source: &Value,
    objects: &Objects,
) -> Result<Option<String>, String> {
    if let Some(reference) = source.get("fieldRef") {
        return field(pod, text(reference, "/fieldPath")).map(Some);
    }
    if let Some(reference) = source.get("resourceFieldRef") {
        return resource(container, reference).map(Some);
    }
    for (resource, field, kind) in
        [("configmaps", "configMapKeyRef", "ConfigMap"), ("secrets", "secretKeyRef", "Secret")]
    {
        let Some(reference) = source.get(field) else { continue };
        let Some(object) = referenced(resource, reference, objects)? else { return Ok(None) };
        let key = text(reference, "/key");
        let value = data(resource, object).remove(key);
        return match value {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            None if reference["optional"] == true => Ok(None),
            None => Err(format!(
                "couldn't find key {key} in {kind} {}/{}",
                text(pod, "/metadata/namespace"),
                text(reference, "/name")
            )),
        };
    }
    Ok(None)
}

/// Returns the value of a field of the pod for the downward API.
///
/// # Errors
/// The local node does not know it.
pub(super) fn field(pod: &Value, path: &str) -> Result<String, String> {
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let pointer = format!("/{}", map.replace('.', "/"));
        return Ok(pairs(pod, &pointer)
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v)
            .unwrap_or_default()
            .to_owned());
    }
    match path {
        "metadata.labels" | "metadata.annotations" => {
            let lines = pairs(pod, &format!("/{}", path.replace('.', "/")));
            let lines: Vec<String> = lines.map(|(key, value)| format!("{key}={}", quoted(value))).collect();
            Ok(lines.join("\n"))
        }
        "metadata.name"
        | "metadata.namespace"
        | "metadata.uid"
        | "spec.nodeName"
        | "spec.serviceAccountName" => Ok(text(pod, &format!("/{}", path.replace('.', "/"))).to_owned()),
        _ => Err(format!("the local node does not know the field {path} of a pod")),
    }
}

/// Writes a text as Go's `%q` does.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns a request or limit of a container for the downward API.
///
/// # Errors
/// It is not set, and the local node has no limits of its own to show instead.
pub(super) fn resource(container: &Value, reference: &Value) -> Result<String, String> {
    let path = text(reference, "/resource");
    let pointer = |of: &str| format!("/resources/{}", of.replacen('.', "/", 1));
    let quantity = container.pointer(&pointer(path)).map(|quantity| match quantity {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let divisor = match &reference["divisor"] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let Some(quantity) = quantity else {
        return Err(format!(
            "container {} has no {path}, and the local node has none",
            text(container, "/name")
        ));
    };
    let value = quantity::divided(&quantity, &divisor);
    value
        .map(|value| value.to_string())
        .ok_or_else(|| format!("{path} of {quantity} cannot be divided by {divisor}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects() -> Objects {
        Objects::from([
            (
                ("secrets".to_owned(), "s".to_owned()),
                json!({"data": {"password": "aHVudGVyMg==", "n": "MQ=="}}),
            ),
            (
                ("configmaps".to_owned(), "c".to_owned()),
                json!({"data": {"mode": "fast"}, "binaryData": {"b": "AA=="}}),
            ),
        ])
    }

    fn pod() -> Value {
        json!({"metadata": {"name": "p", "namespace": "ns", "labels": {"b": "2\n", "a": "1"}}})
    }

    #[test]
    fn variables_are_expanded_as_the_kubelet_does() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expanded) in
            [("$(A)", "1"), ("$$(A)", "$(A)"), ("$(B) $A $", "$(B) $A $"), ("x$(A", "x$(A"), ("$$$(A)", "$1")]
        {
            assert_eq!(expand(text, &variables), expanded, "{text}");
        }
    }

    #[test]
    fn variables_come_from_values_secrets_config_maps_and_fields() {
        let container = json!({"name": "main", "resources": {"limits": {"memory": "64Mi"}},
            "envFrom": [{"secretRef": {"name": "s"}, "prefix": "S_"}, {"configMapRef": {"name": "c"}},
                {"configMapRef": {"name": "absent", "optional": true}}],
            "env": [{"name": "A", "value": "a-$(S_password)-$(LATER)"}, {"name": "LATER", "value": "x"},
                {"name": "EMPTY"}, {"name": "mode", "value": "slow"},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
                {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x", "optional": true}}},
                {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}]});
        let variables = variables(&pod(), &container, &objects()).expect("all is there");
        let expected = [
            ("A", "a-hunter2-$(LATER)"),
            ("EMPTY", ""),
            ("LABEL", "1"),
            ("LATER", "x"),
            ("MEMORY", "64"),
            ("NAME", "p"),
            ("P", "hunter2"),
            ("S_n", "1"),
            ("S_password", "hunter2"),
            ("mode", "slow"),
        ];
        assert_eq!(variables, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn what_is_not_there_is_said_in_the_kubelets_words() {
        let of = |source: Value| {
            variables(
                &pod(),
                &json!({"name": "main", "env": [{"name": "A", "valueFrom": source}]}),
                &objects(),
            )
            .expect_err("not there")
        };
        assert_eq!(of(json!({"secretKeyRef": {"name": "none", "key": "k"}})), "secret \"none\" not found");
        assert_eq!(
            of(json!({"configMapKeyRef": {"name": "c", "key": "k"}})),
            "couldn't find key k in ConfigMap ns/c"
        );
        assert!(of(json!({"fieldRef": {"fieldPath": "status.podIP"}})).contains("status.podIP"));
    }

    #[test]
    fn labels_are_lines_of_a_file() {
        assert_eq!(field(&pod(), "metadata.labels"), Ok("a=\"1\"\nb=\"2\\n\"".to_owned()));
    }
}
