//! Reviews: objects that are answered and not stored.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Attributes, Objects, User,
    rbac::{aggregate, all_rules, decide},
};
use crate::schema::go;
use crate::status::Status;

/// Answers the creation of a review; none if the resource is none. The object is what was sent, decoded.
///
/// # Errors
///
/// 422 if it does not say what is to be reviewed; 400 for rules of no namespace.
pub fn review(
    objects: &dyn Objects,
    user: &User,
    resource: &str,
    mut object: Value,
    now: Timestamp,
) -> Option<Result<Value, Status>> {
    let answer = match resource {
        "selfsubjectreviews" => {
            let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            object = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
                "metadata": {"creationTimestamp": time}, "status": {"userInfo": user.info()}});
            Ok(object)
        }
        "selfsubjectaccessreviews" => access(objects, user, object, resource),
        "subjectaccessreviews" | "localsubjectaccessreviews" => {
            let subject = subject(&object);
            access(objects, &subject, object, resource)
        }
        "selfsubjectrulesreviews" => rules(objects, user, &object),
        _ => return None,
    };
    Some(answer)
}

fn subject(review: &Value) -> User {
    let text = |name: &str| review["spec"][name].as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let extra = review["spec"]["extra"].as_object().into_iter().flatten();
    User {
        name: text("user"),
        uid: text("uid"),
        groups: texts(&review["spec"]["groups"]),
        extra: extra.map(|(key, values)| (key.to_lowercase(), texts(values))).collect(),
    }
}

fn access(objects: &dyn Objects, user: &User, mut review: Value, resource: &str) -> Result<Value, Status> {
    check(&review, user, resource)?;
    let spec = review.get("spec").cloned().unwrap_or_default();
    let part = |name: &str, field: &str| spec[name][field].as_str().unwrap_or_default().to_owned();
    let of_resource = !spec["resourceAttributes"].is_null();
    let [namespace, group, resource, subresource, name] =
        ["namespace", "group", "resource", "subresource", "name"]
            .map(|field| part("resourceAttributes", field));
    let (verb, path) = if of_resource {
        (part("resourceAttributes", "verb"), String::new())
    } else {
        (part("nonResourceAttributes", "verb"), part("nonResourceAttributes", "path"))
    };
    let asked = Attributes {
        verb: &verb,
        namespace: &namespace,
        group: &group,
        resource: &resource,
        subresource: &subresource,
        name: &name,
        path: &path,
    };
    let decision = decide(objects, user, &asked);
    let mut status = Map::from_iter([("allowed".to_owned(), decision.allowed.into())]);
    if !decision.reason.is_empty() {
        status.insert("reason".to_owned(), decision.reason.into());
    }
    if let Some(review) = review.as_object_mut() {
        review.insert("status".to_owned(), Value::Object(status));
    }
    Ok(review)
}

/// Returns `nonResourceAttributes` as the API server prints them.
fn of_path(attributes: &Value) -> String {
    let text = |field: &str| go::quote(attributes[field].as_str().unwrap_or_default());
    format!("{{\"Path\":{},\"Verb\":{}}}", text("path"), text("verb"))
}

fn check(review: &Value, user: &User, resource: &str) -> Result<(), Status> {
    let spec = |field: &str| review.pointer(&format!("/spec/{field}")).filter(|value| !value.is_null());
    let mut faults = Vec::new();
    match (spec("resourceAttributes"), spec("nonResourceAttributes")) {
        (Some(_), Some(other)) => {
            faults.push((
                "spec.nonResourceAttributes",
                format!("{}: cannot be specified in combination with resourceAttributes", of_path(other)),
            ));
        }
        (None, None) => {
            let words = "null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
            faults.push(("spec.resourceAttributes", words.to_owned()));
        }
        _ => {}
    }
    if resource != "selfsubjectaccessreviews" && user.name.is_empty() && user.groups.is_empty() {
        faults.push(("spec.user", "\"\": at least one of user or group must be specified".to_owned()));
    }
    if resource == "localsubjectaccessreviews"
        && let Some(other) = spec("nonResourceAttributes")
    {
        faults.push((
            "spec.nonResourceAttributes",
            format!("{}: disallowed on this kind of request", of_path(other)),
        ));
    }
    let own = review.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let asked = spec("resourceAttributes")
        .and_then(|attributes| attributes["namespace"].as_str())
        .unwrap_or_default();
    if resource == "localsubjectaccessreviews" && spec("resourceAttributes").is_some() && own != asked {
        faults
            .push(("spec.resourceAttributes.namespace", format!("{asked:?}: must match metadata.namespace")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let causes: Vec<_> = faults
        .iter()
        .map(|(field, words)| json!({"reason": "FieldValueInvalid", "message": format!("Invalid value: {words}"), "field": field}))
        .collect();
    let texts: Vec<_> =
        faults.iter().map(|(field, words)| format!("{field}: Invalid value: {words}")).collect();
    let texts = if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) };
    Err(Status::new(422, "Invalid", format!(".authorization.k8s.io \"\" is invalid: {texts}"))
        .with(json!({"group": "authorization.k8s.io", "causes": causes})))
}

fn rules(objects: &dyn Objects, user: &User, review: &Value) -> Result<Value, Status> {
    let namespace = review.pointer("/spec/namespace").and_then(Value::as_str).unwrap_or_default();
    if namespace.is_empty() {
        return Err(Status::new(400, "BadRequest", "no namespace on request"));
    }
    let (rules, missing) = all_rules(objects, user, namespace);
    let (mut of_resources, mut of_paths) = (Vec::new(), Vec::new());
    for rule in &rules {
        let list = if rule.paths.is_empty() { &mut of_resources } else { &mut of_paths };
        list.push(rule.listed());
    }
    let mut status =
        json!({"resourceRules": of_resources, "nonResourceRules": of_paths, "incomplete": false});
    if let Some(words) = aggregate(&missing) {
        status["evaluationError"] = words.into();
    }
    Ok(
        json!({"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": {}, "status": status}),
    )
}
