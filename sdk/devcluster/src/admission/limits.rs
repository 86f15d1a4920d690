//! LimitRanges: defaults for containers, and bounds for containers, pods and claims.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Request;
use crate::access::{Objects, forbidden};
use crate::kinds::quantity::Quantity;
use crate::status::Status;

/// Quantities by resource.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// Returns the quantities that are written here; what cannot be read is left out, as the object has been checked.
pub(super) fn amounts(value: Option<&Value>) -> Amounts {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), Quantity::parse(&text(value)).ok()?))).collect()
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
            own.entry(name.clone()).or_insert(*amount);
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
            container["resources"][kind][name] = amount.to_string().into();
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
    let of = |list: &str| -> Vec<Amounts> {
        let containers =
            pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array).into_iter().flatten();
        containers.map(|container| amounts(container.pointer(&format!("/resources/{kind}")))).collect()
    };
    for (name, amount) in of("containers").into_iter().flatten() {
        sum.entry(name).and_modify(|so_far| *so_far = so_far.plus(&amount)).or_insert(amount);
    }
    for (name, amount) in of("initContainers").into_iter().flatten() {
        sum.entry(name).and_modify(|so_far| *so_far = amount.max(*so_far)).or_insert(amount);
    }
    sum
}

fn bounds(item: &Value, type_: &str, requests: &Amounts, limits: &Amounts, faults: &mut Vec<String>) {
    let claim = type_ == "PersistentVolumeClaim";
    for (name, least) in amounts(item.get("min")) {
        let (request, limit) = (requests.get(&name), limits.get(&name));
        let before = format!("minimum {name} usage per {type_} is {least}");
        match (request, limit) {
            (None, _) => faults.push(format!("{before}.  No request is specified")),
            (Some(request), _) if *request < least => {
                faults.push(format!("{before}, but request is {request}"))
            }
            (_, Some(limit)) if *limit < least => faults.push(format!("{before}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, most) in amounts(item.get("max")) {
        let (request, limit) = (requests.get(&name), limits.get(&name));
        let before = format!("maximum {name} usage per {type_} is {most}");
        let over = |amount: &Quantity| *amount > most;
        match (request, limit) {
            (None, _) if claim => faults.push(format!("{before}.  No request is specified")),
            (_, None) if !claim => faults.push(format!("{before}.  No limit is specified")),
            (_, Some(limit)) if !claim && over(limit) => {
                faults.push(format!("{before}, but limit is {limit}"))
            }
            (Some(request), _) if over(request) => faults.push(format!("{before}, but request is {request}")),
            _ => {}
        }
    }
    for (name, most) in amounts(item.get("maxLimitRequestRatio")) {
        let before = format!("{name} max limit to request ratio per {type_} is {most}");
        let nanos = |amounts: &Amounts| amounts.get(&name).map(Quantity::nanos).unwrap_or_default();
        match (nanos(requests), nanos(limits)) {
            (0, _) => faults.push(format!("{before}, but no request is specified or request is 0")),
            (_, 0) => faults.push(format!("{before}, but no limit is specified or limit is 0")),
            (request, limit) => {
                let whole = 1_000_000_000;
                if limit * whole > most.nanos() * request {
                    let millionths = limit * 1_000_000 / request;
                    let ratio = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
                    faults.push(format!("{before}, but provided ratio is {ratio}"));
                }
            }
        }
    }
}
