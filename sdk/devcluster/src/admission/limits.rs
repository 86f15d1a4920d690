//! LimitRanges: defaults for containers, and bounds for containers, pods and claims.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Request, quantity};
use crate::access::{Objects, forbidden};
use crate::status::Status;

/// Quantities by resource.
pub(super) type Amounts = BTreeMap<String, String>;

pub(super) fn amounts(value: Option<&Value>) -> Amounts {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

pub(super) fn worth(text: Option<&String>) -> Option<i128> {
    text.and_then(|text| quantity::parse(text))
}

fn items(objects: &dyn Objects, request: &Request) -> Vec<Value> {
    let pods = request.resource == "pods" && request.operation == "CREATE";
    let claims =
        request.resource == "persistentvolumeclaims" && matches!(request.operation, "CREATE" | "UPDATE");
    if !request.group.is_empty() || !request.subresource.is_empty() || !(pods || claims) {
        return Vec::new();
    }
    let ranges = objects.list("", "limitranges", Some(request.namespace));
    ranges
        .iter()
        .flat_map(|range| {
            range.pointer("/spec/limits").and_then(Value::as_array).cloned().unwrap_or_default()
        })
        .collect()
}

/// The defaults of a LimitRange for containers: limits, and requests. What is not given comes from the maximum, the limits, the minimum.
fn defaults(item: &Value) -> (Amounts, Amounts) {
    let with = |mut own: Amounts, more: &Amounts| {
        for (name, amount) in more {
            own.entry(name.clone()).or_insert_with(|| amount.clone());
        }
        own
    };
    let limits = with(amounts(item.get("default")), &amounts(item.get("max")));
    let requests = with(with(amounts(item.get("defaultRequest")), &limits), &amounts(item.get("min")));
    (limits, requests)
}

/// Gives to the containers of a new pod the limits and requests that they lack.
pub(super) fn mutate(objects: &dyn Objects, request: &Request, pod: &mut Value) {
    if request.resource != "pods" {
        return;
    }
    let mut told = Vec::new();
    for item in items(objects, request).iter().filter(|item| item["type"] == "Container") {
        let (limits, requests) = defaults(item);
        for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let name = container["name"].as_str().unwrap_or_default().to_owned();
                for (kind, amounts) in [("requests", &requests), ("limits", &limits)] {
                    let set = fill(container, kind, amounts);
                    if !set.is_empty() {
                        told.push(format!(
                            "{} {} for {what} {name}",
                            set.join(", "),
                            kind.trim_end_matches('s')
                        ));
                    }
                }
            }
        }
    }
    if !told.is_empty() {
        let words = format!("LimitRanger plugin set: {}", told.join("; "));
        if !pod["metadata"]["annotations"].is_object() {
            pod["metadata"]["annotations"] = json!({});
        }
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] = words.into();
    }
}

fn fill(container: &mut Value, kind: &str, amounts: &Amounts) -> Vec<String> {
    let mut set = Vec::new();
    for (name, amount) in amounts {
        if container.pointer(&format!("/resources/{kind}")).and_then(|own| own.get(name)).is_none() {
            container["resources"][kind][name] = amount.as_str().into();
            set.push(name.clone());
        }
    }
    set
}

/// Checks a new pod, or a claim, against the LimitRanges of its namespace.
///
/// # Errors
///
/// 403 with all bounds that do not hold.
pub(super) fn validate(objects: &dyn Objects, request: &Request) -> Result<(), Status> {
    let Some(object) = request.object else { return Ok(()) };
    let mut faults = Vec::new();
    for item in items(objects, request) {
        let type_ = item["type"].as_str().unwrap_or_default();
        for (requests, limits) in concerned(type_, request, object) {
            bounds(&item, type_, &requests, &limits, &mut faults);
        }
    }
    let words = match faults.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(forbidden("", request.resource, request.name, &words))
}

/// Returns the requests and limits that a bound of this type is about.
fn concerned(type_: &str, request: &Request, object: &Value) -> Vec<(Amounts, Amounts)> {
    let of = |owner: &Value| {
        (amounts(owner.pointer("/resources/requests")), amounts(owner.pointer("/resources/limits")))
    };
    let containers = |list: &str| {
        object.pointer(&format!("/spec/{list}")).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    match (type_, request.resource) {
        ("Container", "pods") => {
            containers("containers").iter().chain(&containers("initContainers")).map(of).collect()
        }
        ("Pod", "pods") => vec![(of_pod(object, "requests"), of_pod(object, "limits"))],
        ("PersistentVolumeClaim", "persistentvolumeclaims") => {
            object.get("spec").map(of).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Returns what all containers of a pod ask for, or as much as one of those that run before if that is more.
pub(super) fn of_pod(pod: &Value, kind: &str) -> Amounts {
    let mut sum = Amounts::new();
    for (list, by) in
        [("containers", (|a, b| a + b) as fn(i128, i128) -> i128), ("initContainers", i128::max)]
    {
        for container in pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array).into_iter().flatten()
        {
            join(&mut sum, &amounts(container.pointer(&format!("/resources/{kind}"))), by);
        }
    }
    sum
}

fn join(sum: &mut Amounts, more: &Amounts, by: fn(i128, i128) -> i128) {
    for (name, amount) in more {
        let joined =
            worth(sum.get(name)).zip(worth(Some(amount))).map(|(a, b)| quantity::write(by(a, b), amount));
        sum.insert(name.clone(), joined.unwrap_or_else(|| amount.clone()));
    }
}

fn bounds(item: &Value, type_: &str, requests: &Amounts, limits: &Amounts, faults: &mut Vec<String>) {
    let claim = type_ == "PersistentVolumeClaim";
    for (name, least) in amounts(item.get("min")) {
        let (request, limit) = (requests.get(&name), limits.get(&name));
        let before = format!("minimum {name} usage per {type_} is {least}");
        match (request, limit) {
            (None, _) => faults.push(format!("{before}.  No request is specified")),
            (Some(request), _) if worth(Some(request)) < worth(Some(&least)) => {
                faults.push(format!("{before}, but request is {request}"))
            }
            (_, Some(limit)) if worth(Some(limit)) < worth(Some(&least)) => {
                faults.push(format!("{before}, but limit is {limit}"))
            }
            _ => {}
        }
    }
    for (name, most) in amounts(item.get("max")) {
        let (request, limit) = (requests.get(&name), limits.get(&name));
        let before = format!("maximum {name} usage per {type_} is {most}");
        let over = |amount: &&String| worth(Some(amount)) > worth(Some(&most));
        match (request, limit) {
            (None, _) if claim => faults.push(format!("{before}.  No request is specified")),
            (_, None) if !claim => faults.push(format!("{before}.  No limit is specified")),
            (_, Some(limit)) if !claim && over(&limit) => {
                faults.push(format!("{before}, but limit is {limit}"))
            }
            (Some(request), _) if over(&request) => {
                faults.push(format!("{before}, but request is {request}"))
            }
            _ => {}
        }
    }
    for (name, most) in amounts(item.get("maxLimitRequestRatio")) {
        let before = format!("{name} max limit to request ratio per {type_} is {most}");
        match (worth(requests.get(&name)).unwrap_or_default(), worth(limits.get(&name)).unwrap_or_default()) {
            (0, _) => faults.push(format!("{before}, but no request is specified or request is 0")),
            (_, 0) => faults.push(format!("{before}, but no limit is specified or limit is 0")),
            (request, limit) => {
                let whole = 1_000_000_000;
                if worth(Some(&most)).is_some_and(|most| limit * whole > most * request) {
                    let millionths = limit * 1_000_000 / request;
                    let ratio = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
                    faults.push(format!("{before}, but provided ratio is {ratio}"));
                }
            }
        }
    }
}
