//! What roles and their bindings may be.

use serde_json::Value;

use super::value::{at, items, text};
use super::{internal, names};
use crate::schema::fault::{self, child, index};
use crate::status::Cause;

/// Adds the faults of what a role allows.
pub(super) fn rules(new: &Value, is_namespaced: bool, causes: &mut Vec<Cause>) {
    for (i, rule) in items(new, &["rules"]).iter().enumerate() {
        let at_rule = |field: &str| child(&index("rules", i), field);
        if items(rule, &["verbs"]).is_empty() {
            causes.push(fault::required(at_rule("verbs"), "verbs must contain at least one value"));
        }
        if !items(rule, &["nonResourceURLs"]).is_empty() {
            let shown = at(rule, &["nonResourceURLs"]);
            if is_namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                causes.push(fault::invalid(at_rule("nonResourceURLs"), shown, detail));
            }
            if ["apiGroups", "resources", "resourceNames"]
                .iter()
                .any(|field| !items(rule, &[field]).is_empty())
            {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                causes.push(fault::invalid(at_rule("nonResourceURLs"), shown, detail));
            }
            continue;
        }
        if items(rule, &["apiGroups"]).is_empty() {
            let detail = "resource rules must supply at least one api group";
            causes.push(fault::required(at_rule("apiGroups"), detail));
        }
        if items(rule, &["resources"]).is_empty() {
            let detail = "resource rules must supply at least one resource";
            causes.push(fault::required(at_rule("resources"), detail));
        }
    }
}

/// Adds the faults of who has a role, and of which role it is.
pub(super) fn binding(new: &Value, old: Option<&Value>, is_namespaced: bool, causes: &mut Vec<Cause>) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let role = at(new, &["roleRef"]);
    if text(role, &["apiGroup"]) != GROUP {
        causes.push(fault::not_supported("roleRef.apiGroup", at(role, &["apiGroup"]), &[GROUP]));
    }
    let known: &[&str] = if is_namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !known.contains(&text(role, &["kind"])) {
        causes.push(fault::not_supported("roleRef.kind", &text(role, &["kind"]).into(), known));
    }
    match text(role, &["name"]) {
        "" => causes.push(fault::required("roleRef.name", "")),
        name => {
            let faults = names::path_segment(name, false);
            causes.extend(faults.iter().map(|detail| fault::invalid_text("roleRef.name", name, detail)));
        }
    }
    for (i, subject) in items(new, &["subjects"]).iter().enumerate() {
        let at_field = |field: &str| child(&index("subjects", i), field);
        let (name, kind, group) =
            (text(subject, &["name"]), text(subject, &["kind"]), text(subject, &["apiGroup"]));
        if name.is_empty() {
            causes.push(fault::required(at_field("name"), ""));
        }
        let wanted = match kind {
            "ServiceAccount" => {
                let faults = if name.is_empty() { Vec::new() } else { names::dns1123_subdomain(name) };
                causes
                    .extend(faults.iter().map(|detail| fault::invalid_text(at_field("name"), name, detail)));
                if !is_namespaced && text(subject, &["namespace"]).is_empty() {
                    causes.push(fault::required(at_field("namespace"), ""));
                }
                ""
            }
            "User" | "Group" => GROUP,
            _ => {
                let known = ["ServiceAccount", "User", "Group"];
                causes.push(fault::not_supported(at_field("kind"), &kind.into(), &known));
                continue;
            }
        };
        if group != wanted {
            causes.push(fault::not_supported(at_field("apiGroup"), &group.into(), &[wanted]));
        }
    }
    if old.is_some_and(|old| at(old, &["roleRef"]) != role) {
        let shown = internal::shown("rbac.RoleRef", role);
        causes.push(internal::invalid("roleRef", &shown, "cannot change roleRef"));
    }
}
