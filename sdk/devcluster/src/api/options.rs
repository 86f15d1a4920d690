//! Parameters of requests: read, checked, and refused if they are not known.

use serde_json::Value;

use super::errors::{bad_request, fault, forbidden_field, invalid, no_number, not_implemented, unsupported};
use super::request::{Request, Target};
use super::select::{Fields, Labels};
use crate::schema::go;
use crate::status::{Cause, Status};

/// Parameters of lists and watches.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListOptions {
    pub(crate) labels: Labels,
    pub(crate) fields: Fields,
    pub(crate) version: String,
    pub(crate) matching: String,
    pub(crate) limit: usize,
    pub(crate) continuation: String,
    pub(crate) bookmarks: bool,
    pub(crate) initial: Option<bool>,
    pub(crate) timeout: Option<i64>,
}

/// Parameters of writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry: bool,
    pub(crate) manager: String,
    pub(crate) validation: Validation,
    pub(crate) force: Option<bool>,
}

/// What becomes of fields that the schema does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Validation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

const LIST: &[&str] = &[
    "labelSelector",
    "fieldSelector",
    "watch",
    "allowWatchBookmarks",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "limit",
    "continue",
    "sendInitialEvents",
    "includeObject",
];
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
const DELETE: &[&str] = &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];
const LOG: &[&str] = &[
    "container",
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
];

/// Refuses parameters that no handler of this target reads. Of `pretty` and `timeout` nothing depends.
pub(crate) fn known(request: &Request, target: &Target) -> Result<(), Status> {
    let sets: &[&[&str]] = match (target.verb.as_str(), target.subresource.as_str()) {
        ("get", "log") => &[LOG],
        ("get", _) => &[&["resourceVersion", "includeObject", "watch"], LIST],
        ("list" | "watch", _) => &[LIST],
        ("create" | "update" | "patch", _) => &[WRITE, &["includeObject"]],
        ("delete", _) => &[DELETE],
        ("deletecollection", _) => &[DELETE, LIST],
        _ => &[],
    };
    let unknown = request.query.iter().find(|(key, _)| {
        !["pretty", "timeout"].contains(&key.as_str()) && !sets.iter().any(|set| set.contains(&key.as_str()))
    });
    match unknown {
        Some((key, _)) => Err(not_implemented(format_args!("the parameter {key}"))),
        None => Ok(()),
    }
}

fn number(request: &Request, name: &str) -> Result<Option<i64>, Status> {
    match request.parameter(name) {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| bad_request(no_number("ParseInt", text))),
    }
}

/// Reads the parameters of a list or a watch.
///
/// # Errors
/// 400 for what cannot be read, 422 for what does not go together.
pub(crate) fn list(request: &Request, watch: bool) -> Result<ListOptions, Status> {
    let text = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    let options = ListOptions {
        labels: Labels::parse(&text("labelSelector")).map_err(bad_request)?,
        fields: Fields::parse(&text("fieldSelector")).map_err(bad_request)?,
        version: text("resourceVersion"),
        matching: text("resourceVersionMatch"),
        limit: usize::try_from(number(request, "limit")?.unwrap_or(0)).unwrap_or(0),
        continuation: text("continue"),
        bookmarks: request.flag("allowWatchBookmarks") == Some(true),
        initial: request.flag("sendInitialEvents"),
        timeout: number(request, "timeoutSeconds")?,
    };
    let causes = if watch { watch_faults(&options) } else { list_faults(&options) };
    refuse("ListOptions", causes).map(|()| options)
}

fn refuse(kind: &str, causes: Vec<Cause>) -> Result<(), Status> {
    if causes.is_empty() { Ok(()) } else { Err(invalid("meta.k8s.io", kind, "", &causes)) }
}

const MATCH: &str = "resourceVersionMatch";

fn list_faults(options: &ListOptions) -> Vec<Cause> {
    let mut causes = Vec::new();
    let matching = options.matching.as_str();
    if !matching.is_empty() {
        if options.version.is_empty() {
            causes.push(forbidden_field(
                MATCH,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !options.continuation.is_empty() {
            causes
                .push(forbidden_field(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !["Exact", "NotOlderThan"].contains(&matching) {
            causes.push(unsupported(MATCH, &matching.into(), &["Exact", "NotOlderThan", ""]));
        }
        if matching == "Exact" && options.version == "0" {
            causes.push(forbidden_field(
                MATCH,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if options.initial.is_some() {
        causes.push(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    causes
}

fn watch_faults(options: &ListOptions) -> Vec<Cause> {
    let mut causes = Vec::new();
    let matching = options.matching.as_str();
    if options.initial.is_some() && matching != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(forbidden_field(MATCH, why));
    }
    if !matching.is_empty() {
        if options.initial.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(forbidden_field(MATCH, why));
        }
        if matching != "NotOlderThan" {
            causes.push(unsupported(MATCH, &matching.into(), &["NotOlderThan"]));
        }
        if !options.continuation.is_empty() {
            causes
                .push(forbidden_field(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    causes
}

/// Reads the parameters of a create, an update or a patch.
///
/// # Errors
/// 422 of `CreateOptions` and its like.
pub(crate) fn write(request: &Request, kind: &str, apply: bool) -> Result<WriteOptions, Status> {
    let manager = request.parameter("fieldManager").unwrap_or_default();
    let validation = request.parameter("fieldValidation").unwrap_or_default();
    let force = request.flag("force");
    let mut causes = Vec::new();
    if kind == "PatchOptions" {
        if apply && manager.is_empty() {
            let message = "Required value: is required for apply patch".into();
            causes.push(Cause { reason: "FieldValueRequired", message, field: "fieldManager".into() });
        }
        if !apply && force.is_some() {
            causes.push(forbidden_field("force", "may not be specified for non-apply patch"));
        }
    }
    causes.extend(manager_faults(manager));
    let dry = dry_run(request, &mut causes);
    let validation = match validation {
        "" | "Warn" => Validation::Warn,
        "Ignore" => Validation::Ignore,
        "Strict" => Validation::Strict,
        _ => {
            causes.push(unsupported(
                "fieldValidation",
                &validation.into(),
                &["", "Ignore", "Strict", "Warn"],
            ));
            Validation::Warn
        }
    };
    refuse(kind, causes)?;
    Ok(WriteOptions { dry, manager: manager.to_owned(), validation, force })
}

fn manager_faults(manager: &str) -> Vec<Cause> {
    let field = "fieldManager";
    let mut causes = Vec::new();
    if manager.len() > 128 {
        let message = "Too long: may not be more than 128 bytes".into();
        causes.push(Cause { reason: "FieldValueTooLong", message, field: field.into() });
    }
    if let Some((at, letter)) = manager.chars().enumerate().find(|(_, letter)| letter.is_control()) {
        let shown = go::quote(manager);
        let message =
            format!("Invalid value: {shown}: invalid character U+{:04X} (at position {at})", letter as u32);
        causes.push(Cause { reason: "FieldValueInvalid", message, field: field.into() });
    }
    causes
}

fn dry_run(request: &Request, causes: &mut Vec<Cause>) -> bool {
    let values = request.query.iter().filter(|(key, _)| key == "dryRun");
    let values: Vec<Value> = values.map(|(_, value)| value.clone().into()).collect();
    dry_run_of(&values, causes)
}

fn dry_run_of(values: &[Value], causes: &mut Vec<Cause>) -> bool {
    if values.iter().any(|value| value != "All") {
        causes.push(unsupported("dryRun", &values.to_vec().into(), &["All"]));
    }
    !values.is_empty()
}

/// Parameters of a delete.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) dry: bool,
    pub(crate) grace: Option<i64>,
    pub(crate) orphan: Option<bool>,
    pub(crate) propagation: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
}

/// Reads the parameters of a delete: those of its body, or those of its path if there is no body.
///
/// # Errors
/// 500 for a body that cannot be read, 422 for what does not go together.
pub(crate) fn delete(request: &Request) -> Result<DeleteOptions, Status> {
    let mut causes = Vec::new();
    let options = if request.body.is_empty() {
        DeleteOptions {
            dry: dry_run(request, &mut causes),
            grace: number(request, "gracePeriodSeconds")?,
            orphan: request.flag("orphanDependents"),
            propagation: request.parameter("propagationPolicy").map(str::to_owned),
            ..DeleteOptions::default()
        }
    } else {
        super::decode::delete_options(request)?.read(&mut causes)
    };
    if options.orphan.is_some() && options.propagation.is_some() {
        let value = options.propagation.clone().unwrap_or_default().into();
        let why = "orphanDependents and deletionPropagation cannot be both set";
        causes.push(fault("FieldValueInvalid", "propagationPolicy", &value, why));
    }
    let allowed = ["Foreground", "Background", "Orphan", "nil"];
    if let Some(policy) = options.propagation.as_deref().filter(|policy| !allowed.contains(policy)) {
        causes.push(unsupported("propagationPolicy", &policy.into(), &allowed));
    }
    refuse("DeleteOptions", causes).map(|()| options)
}

/// The body of a delete.
pub(crate) struct DeleteBody(pub(crate) Value);

impl DeleteBody {
    fn read(&self, causes: &mut Vec<Cause>) -> DeleteOptions {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let preconditions = self.0.get("preconditions");
        let dry: Vec<Value> = self.0.get("dryRun").and_then(Value::as_array).cloned().unwrap_or_default();
        DeleteOptions {
            dry: dry_run_of(&dry, causes),
            grace: self.0.get("gracePeriodSeconds").and_then(Value::as_i64),
            orphan: self.0.get("orphanDependents").and_then(Value::as_bool),
            propagation: text(self.0.get("propagationPolicy")),
            uid: text(preconditions.and_then(|all| all.get("uid"))),
            version: text(preconditions.and_then(|all| all.get("resourceVersion"))),
        }
    }
}
