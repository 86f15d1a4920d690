//! The pod that calls the sidecar.

use backstay_sdk::prelude::*;
use backstay_sdk::run::Backup;
use backstay_sdk::template::Context;
use backstay_sdk::{Deserialize, Serialize, Value, json, pod_template, serde_json, time};

use crate::archive;
use crate::shards;
use crate::spec::AltinitySpec;

/// API group of the applications that have the sidecar.
pub(crate) const GROUP: &str = "apps.cozystack.io";
/// Kind of the applications that have the sidecar.
pub(crate) const KIND: &str = "ClickHouse";

/// Data of the run that `render` hands to `parse`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
pub(crate) struct RunData {
    /// The archive that the pod writes, if its template uses the name.
    pub(crate) archive: Option<String>,
    /// Shards of the application.
    pub(crate) shards: u64,
}

impl RunData {
    /// Reads the data of a run from the result of its pod.
    ///
    /// # Errors
    /// `RunDataUnreadable`: the data is missing or has another form. Without it a Backup would lack its archive and
    /// the missing shards.
    pub(crate) fn of(ended: &PodResult) -> Result<Self, Failure> {
        let data = ended.data.clone().unwrap_or_default();
        serde_json::from_value(data).map_err(|error| {
            Failure::new(
                "RunDataUnreadable",
                format!(
                    "what the run was begun with cannot be read by version {} of this component: {error}; which archive \
                     was written is in the log of the pod; create a new run",
                    env!("CARGO_PKG_VERSION")
                ),
            )
        })
    }
}

/// The keys at the top that templates of this strategy see beside those of every strategy.
const OWN: &[&str] = &["Archive", "TakenAt"];

/// Renders the pod run.
pub(crate) fn run(request: &Request<AltinitySpec>, application: Option<&Value>) -> Result<PodRun, Failure> {
    let spec = request.spec()?;
    let shards = shards::of(application);
    let mut warnings: Vec<Finding> = shards::judge(request, shards)?.into_iter().collect();
    let mut context = Context { own_keys: OWN, ..Context::of(request, application) };
    let archive = match &request.backup {
        None => Some(archive::of_run(request)),
        Some(backup) => {
            of_clickhouse(backup)?;
            context.own.insert("TakenAt".to_owned(), time::rfc3339(backup.taken_at));
            archive::of_backup(backup)?
        }
    };
    match &archive {
        Some(archive) => {
            context.own.insert("Archive".to_owned(), archive.clone());
        }
        None => warnings.push(Finding::warning("/strategy/template", chosen_by_the_pod(request))),
    }
    let run = pod_template::pod_run(&spec.template, spec.dialect, &context)?;
    let mut run = pod_template::refuse_gaps_in_references(run)?;
    let written = archive.filter(|archive| mentions(&run.template, archive));
    if written.is_none()
        && let Some(recorded) = context.own.get("Archive").filter(|_| request.mode != Mode::Backup)
    {
        return Err(ignored(recorded));
    }
    run.findings.splice(0..0, warnings);
    Ok(PodRun {
        backoff_limit: spec.backoff_limit,
        active_deadline: spec.active_deadline_seconds,
        data: Some(json!(RunData { archive: written, shards })),
        ..run
    })
}

/// Returns the findings about a strategy without a run.
pub(crate) fn check(spec: &AltinitySpec) -> Vec<Finding> {
    let mut findings = pod_template::check_with(&spec.template, spec.dialect, OWN);
    if !mentions(&Value::Object(spec.template.0.clone()), "Archive") {
        findings.push(Finding::warning(
            "/strategy/template",
            "the template does not ask for .Archive: Backups will not record which archive is theirs, each pod of a run \
             starts an archive of its own, and a restore takes what the pod chooses",
        ));
    }
    findings
}

/// Whether any string in `value` contains `text`.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(entries) => entries.values().any(|entry| mentions(entry, text)),
        _ => false,
    }
}

/// Checks that the backed up application is a ClickHouse. The host checks the target of a restore.
fn of_clickhouse(backup: &Backup) -> Result<(), Failure> {
    let source = &backup.application;
    if source.kind == KIND && (source.group.is_empty() || source.group == GROUP) {
        return Ok(());
    }
    Err(Failure::new(
        "ApplicationMismatch",
        format!(
            "Backup {} is of kind {} of {:?}, and this strategy restores {KIND} of {GROUP}; name a Backup of a {KIND}",
            backup.name, source.kind, source.group
        ),
    ))
}

fn chosen_by_the_pod(request: &Request<AltinitySpec>) -> String {
    let backup = request.backup.as_ref().map_or("", |b| b.name.as_str());
    format!(
        "Backup {backup} does not record its archive: the pod chooses one, by .TakenAt if its template asks for that, and \
         what it chose stands in its log"
    )
}

/// The failure of a template that ignores the archive: it could restore other data without an error.
fn ignored(archive: &str) -> Failure {
    Failure::new(
        "ArchiveIgnored",
        format!(
            "the Backup is archive {archive}, and on restore nothing in the pod template of the strategy names it; restore \
             {{{{ .Archive }}}}, or the newest archive would be restored in its place"
        ),
    )
}
