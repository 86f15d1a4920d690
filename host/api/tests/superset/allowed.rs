//! The intended differences, each with its reason.

use crate::walk::{Difference, Effect};

/// An intended difference.
pub(crate) struct Allowed {
    /// Names of CRDs up to their first dot, separated by spaces; empty is any.
    crd: &'static str,
    /// Place in the CRD; `*` at the end is any place below, and alone any place.
    at: &'static str,
    keyword: &'static str,
    effect: Effect,
    /// Reason of the difference.
    pub(crate) reason: &'static str,
}

impl Allowed {
    pub(crate) fn covers(&self, difference: &Difference) -> bool {
        let crd = difference.crd.split('.').next().unwrap_or_default();
        let at = match self.at.strip_suffix('*') {
            Some(prefix) => difference.at.starts_with(prefix),
            None => difference.at == self.at,
        };
        (self.crd.is_empty() || self.crd.split(' ').any(|name| name == crd))
            && at
            && (self.keyword == "*" || self.keyword == difference.keyword)
            && self.effect == difference.effect
    }
}

const fn allow(
    crd: &'static str,
    at: &'static str,
    keyword: &'static str,
    effect: Effect,
    reason: &'static str,
) -> Allowed {
    Allowed { crd, at, keyword, effect, reason }
}

use Effect::{Added, Laxer, Narrower};

/// The kinds whose spec holds a pod template.
const POD_TEMPLATES: &str = "altinities jobs";

/// All intended differences. An entry that matches no difference fails the test as well.
pub(crate) const ALLOWED: &[Allowed] = &[
    allow(
        "",
        "metadata.annotations",
        "controller-gen.kubebuilder.io/version",
        Narrower,
        "names the generator of the file; nothing reads it",
    ),
    allow(
        "",
        "spec.names",
        "shortNames",
        Added,
        "bkc, bkj, bkp, rsj: short names that no kind of Kubernetes has",
    ),
    allow("", "columns", "*", Added, "columns for people, after upstream's"),
    // ---- bounds of the API server's own ---------------------------------------------------------------------------
    allow(
        "",
        "*",
        "maxLength",
        Narrower,
        "no object, kind or group has a longer name and no schedule needs more: what is refused could only fail. An object \
         that exists with a longer one can be updated, since the API server judges only fields that change",
    ),
    allow(
        "backupjobs restorejobs",
        "",
        "x-kubernetes-validations",
        Narrower,
        "the spec of a run that has begun is immutable: an edit had no effect, and `kubectl wait` never ended",
    ),
    // ---- optional fields of status -------------------------------------------------------------------------------
    allow("", ".status.observedGeneration", "property", Added, "generation that the status is about"),
    allow("backupjobs", ".status.run", "property", Added, "inputs pinned when the run began (R6)"),
    allow("restorejobs", ".status.run", "property", Added, "inputs pinned when the run began (R6)"),
    allow(
        "backupjobs",
        ".status.waitingSince",
        "property",
        Added,
        "since when a run waits that has not begun",
    ),
    allow(
        "restorejobs",
        ".status.waitingSince",
        "property",
        Added,
        "since when a run waits that has not begun",
    ),
    allow(
        "backups",
        "subresources",
        "status",
        Added,
        "status is written in a second step (R7); one in the body of a create is dropped, and a Backup without a phase \
         is restored all the same (F17)",
    ),
    allow("backups", ".status.component", "property", Added, "component that made the backup (R9)"),
    allow(
        "backups",
        ".status.strategyRevision",
        "property",
        Added,
        "strategy of the time of the backup (R9)",
    ),
    allow("backups", ".status.privateData", "property", Added, "data that tenants cannot read"),
    allow("backups", ".status.run", "property", Added, "the run that cleans up"),
    allow("plans", ".status.anchor", "property", Added, "slots count from here (R1)"),
    allow("plans", ".status.schedule", "property", Added, "the schedule that the anchor belongs to (R1)"),
    allow("plans", ".status.nextSlot", "property", Added, "when the Plan fires next"),
    allow("plans", ".status.lastSlot", "property", Added, "the latest slot that has an outcome (R1)"),
    allow("plans", ".status.counts", "property", Added, "outcomes of slots (R1)"),
    allow("plans", ".status.recent", "property", Added, "outcomes of slots (R1)"),
    // ---- optional fields of spec ---------------------------------------------------------------------------------
    allow("plans", ".spec.timeZone", "property", Added, "decision 23"),
    allow("plans", ".spec.startingDeadlineSeconds", "property", Added, "decision 23"),
    allow("plans", ".spec.suspend", "property", Added, "decision 23"),
    allow(
        POD_TEMPLATES,
        ".spec.activeDeadlineSeconds",
        "property",
        Added,
        "optional field of pod strategies",
    ),
    allow(POD_TEMPLATES, ".spec.backoffLimit", "property", Added, "optional field of pod strategies"),
    allow("jobs", ".spec.requireArtifact", "property", Added, "optional field of the Job strategy"),
    allow("altinities", ".spec.shards", "property", Added, "optional field of the Altinity strategy"),
    // ---- archives ------------------------------------------------------------------------------------------------
    allow("", ".spec.dialect", "property", Added, "optional field of all our strategies"),
    allow(
        "",
        ".spec.template.barmanObjectStore*",
        "x-kubernetes-map-type",
        Narrower,
        "a reference of one field, of which nobody can apply a part",
    ),
    allow(
        "jobs",
        ".status.conditions",
        "x-kubernetes-list-type",
        Narrower,
        "one condition a type, as upstream's other kinds have; nobody but the controller writes them",
    ),
    allow(
        "jobs",
        ".status.conditions",
        "x-kubernetes-list-map-keys",
        Narrower,
        "one condition a type, as upstream's other kinds have; nobody but the controller writes them",
    ),
    // ---- pod templates -------------------------------------------------------------------------------------------
    allow(
        POD_TEMPLATES,
        ".spec.template*",
        "x-kubernetes-preserve-unknown-fields",
        Laxer,
        "fields of newer pods are kept where upstream prunes them",
    ),
    allow(
        POD_TEMPLATES,
        ".spec.template*",
        "pattern",
        Laxer,
        "a quantity may be a template; the pod is checked when rendered",
    ),
    allow(POD_TEMPLATES, ".spec.template.metadata.labels", "property", Added, "upstream prunes them (F3)"),
    allow(
        POD_TEMPLATES,
        ".spec.template.metadata.annotations",
        "property",
        Added,
        "upstream prunes them (F3)",
    ),
    allow(
        POD_TEMPLATES,
        ".spec.template.spec.volumes[].ephemeral.volumeClaimTemplate.metadata.labels",
        "property",
        Added,
        "as those of the template (F3)",
    ),
    allow(
        POD_TEMPLATES,
        ".spec.template.spec.volumes[].ephemeral.volumeClaimTemplate.metadata.annotations",
        "property",
        Added,
        "as those of the template (F3)",
    ),
    allow(
        POD_TEMPLATES,
        ".spec.template.spec.workloadRef",
        "property",
        Laxer,
        "newer than the version of the API that the schema is made of; kept as an unknown field",
    ),
    allow(
        POD_TEMPLATES,
        ".spec.template.spec.volumes[].projected.sources[].podCertificate.userAnnotations",
        "property",
        Laxer,
        "newer than the version of the API that the schema is made of; kept as an unknown field",
    ),
];
