//! What the API server serves: built-in kinds by a table, custom ones by their definitions.

use std::sync::Arc;

use serde_json::Value;

use super::discovery;
use super::store::Family;
use crate::schema::Schema;

/// A kind in one of its versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    /// Its verbs, as discovery tells them.
    pub(crate) verbs: Vec<String>,
    /// Its subresources.
    pub(crate) subresources: Vec<String>,
    /// Whether its objects can be written: a built-in kind that is not modelled is served, and empty.
    pub(crate) modelled: bool,
    /// Whether its objects count their generation.
    pub(crate) generation: bool,
    /// Whether a PUT without a version is taken.
    pub(crate) unconditional: bool,
    /// Whether a PUT creates.
    pub(crate) put_creates: bool,
    /// Whether a delete answers the object.
    pub(crate) returns_deleted: bool,
    /// Fields of selectors besides name and namespace.
    pub(crate) selectable: Vec<String>,
    /// What a custom kind has besides.
    pub(crate) custom: Option<Custom>,
}

/// What a CustomResourceDefinition says of a version of its kind.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    /// The name of the definition.
    pub(crate) definition: String,
    /// Its `spec`.
    pub(crate) spec: Arc<Value>,
    /// The version in which objects are stored, and its schema.
    pub(crate) storage: (String, Arc<Schema>),
    /// The schema of this version.
    pub(crate) schema: Arc<Schema>,
    /// A number that changes whenever the definition changes in a way that is seen.
    pub(crate) shape: u64,
    /// The warning of a deprecated version.
    pub(crate) deprecated: Option<String>,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Vec<Value>,
    /// Short names of the kind.
    pub(crate) short_names: Vec<String>,
    /// Categories of the kind.
    pub(crate) categories: Vec<String>,
    /// Whether the definition is being deleted.
    pub(crate) terminating: bool,
}

impl Resource {
    /// Whether it has this subresource.
    pub(crate) fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|one| one == subresource)
    }

    /// `widgets.lab.example.com`, `secrets`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Widget.lab.example.com`, `Secret`.
    pub(crate) fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// `lab.example.com/v1`, `v1`.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Where its objects are stored: Events of both groups are the same objects.
    pub(crate) fn family(&self) -> Family {
        if self.plural == "events" {
            return (String::new(), self.plural.clone());
        }
        (self.group.clone(), self.plural.clone())
    }

    /// Whether its objects are of this family.
    pub(crate) fn is_of(&self, family: &Family) -> bool {
        let group = if self.plural == "events" { "" } else { self.group.as_str() };
        (group, self.plural.as_str()) == (family.0.as_str(), family.1.as_str())
    }

    /// The schema of this version, if there is one.
    pub(crate) fn schema(&self) -> Option<&Schema> {
        match &self.custom {
            Some(custom) => Some(&custom.schema),
            None => crate::kinds::builtin(&self.group, &self.version, &self.kind),
        }
    }

    /// The form under which an object is stored.
    pub(crate) fn shape(&self) -> u64 {
        self.custom.as_ref().map_or(0, |custom| custom.shape)
    }

    /// Its key in etcd, which some texts show.
    pub(crate) fn registry_key(&self, namespace: &str, name: &str) -> String {
        let own = ["apiextensions.k8s.io", "apiregistration.k8s.io"].contains(&self.group.as_str());
        let group = if self.custom.is_some() || own { format!("{}/", self.group) } else { String::new() };
        let plural = match self.qualified().as_str() {
            "nodes" => "minions",
            "services" => "services/specs",
            _ => &self.plural,
        };
        let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        format!("/registry/{group}{plural}/{namespace}{name}")
    }
}

/// The text of a group and a version.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// A built-in kind that is modelled: its name with its group, what is special of it, and its fields of selectors besides
/// name and namespace. Of the flags: `g` generation, `v` a PUT needs a version, `c` a PUT creates, `d` a delete answers
/// the object. Read in the registries of Kubernetes 1.34.
const MODELLED: &[(&str, &str, &[&str])] = &[
    ("namespaces", "d", &["status.phase"]),
    ("pods", "gd", POD),
    ("configmaps", "", &[]),
    ("secrets", "", &["type"]),
    ("serviceaccounts", "d", &[]),
    ("events", "c", EVENT),
    ("persistentvolumeclaims", "d", &[]),
    ("persistentvolumes", "d", &[]),
    ("services", "cd", &["spec.clusterIP", "spec.type"]),
    ("nodes", "", &["spec.unschedulable"]),
    ("limitranges", "c", &[]),
    ("resourcequotas", "d", &[]),
    ("jobs.batch", "g", &["status.successful"]),
    ("controllerrevisions.apps", "", &[]),
    ("events.events.k8s.io", "c", NEWER_EVENT),
    ("leases.coordination.k8s.io", "vc", &[]),
    ("customresourcedefinitions.apiextensions.k8s.io", "gv", &[]),
    ("apiservices.apiregistration.k8s.io", "v", &[]),
    ("roles.rbac.authorization.k8s.io", "c", &[]),
    ("rolebindings.rbac.authorization.k8s.io", "c", &[]),
    ("clusterroles.rbac.authorization.k8s.io", "c", &[]),
    ("clusterrolebindings.rbac.authorization.k8s.io", "c", &[]),
    ("validatingadmissionpolicies.admissionregistration.k8s.io", "gv", &[]),
    ("validatingadmissionpolicybindings.admissionregistration.k8s.io", "gv", &[]),
];

const POD: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

const EVENT: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const NEWER_EVENT: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

/// The built-in kinds, from a captured discovery.
pub(crate) fn builtins() -> Vec<Resource> {
    let mut all: Vec<Resource> = Vec::new();
    for (group, version, entry) in discovery::builtin_resources() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let verbs =
            || entry.get("verbs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        match text("name").split_once('/') {
            Some((plural, subresource)) => {
                let of = all
                    .iter_mut()
                    .find(|one| one.plural == plural && one.group == group && one.version == version);
                if let Some(resource) = of {
                    resource.subresources.push(subresource.to_owned());
                }
            }
            None => {
                let mut resource = Resource {
                    group: group.to_owned(),
                    version: version.to_owned(),
                    plural: text("name").to_owned(),
                    singular: text("singularName").to_owned(),
                    kind: text("kind").to_owned(),
                    list_kind: format!("{}List", text("kind")),
                    namespaced: entry.get("namespaced") == Some(&Value::Bool(true)),
                    verbs: verbs().map(str::to_owned).collect(),
                    ..Resource::default()
                };
                let name = resource.qualified();
                if let Some((_, flags, selectable)) = MODELLED.iter().find(|row| row.0 == name) {
                    resource.modelled = true;
                    resource.generation = flags.contains('g');
                    resource.unconditional = !flags.contains('v');
                    resource.put_creates = flags.contains('c');
                    resource.returns_deleted = flags.contains('d');
                    resource.selectable = selectable.iter().map(|field| (*field).to_owned()).collect();
                }
                all.push(resource);
            }
        }
    }
    all
}
