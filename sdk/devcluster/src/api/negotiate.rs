//! Content types: what a client takes, and what it sends.

use super::errors::{Refusal, no_such_method};
use super::request::Request;
use super::resource::Resource;
use crate::status::Status;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Media {
    #[default]
    Json,
    Yaml,
}

/// As what an object is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    #[default]
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `PartialObjectMetadataList`.
    MetadataList,
    /// `Table`.
    Table,
    /// `APIGroupDiscoveryList`: only of discovery.
    Discovery,
}

/// What a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accept {
    pub(crate) media: Media,
    pub(crate) form: Form,
}

/// Where the answer is used, which decides what forms there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Object,
    /// A list or an object for which there is a table.
    Table,
    Discovery,
    /// Only an object as it is.
    Plain,
}

const TAKEN: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// What a refusal is written in, whatever else the client asks.
pub(crate) fn media(request: &Request) -> Media {
    let accept = request.header(http::header::ACCEPT).unwrap_or_default();
    let first = clauses(accept)
        .into_iter()
        .find_map(|clause| medium(clause.split(';').next().unwrap_or_default().trim()));
    first.unwrap_or_default()
}

/// The clauses of `Accept`, those with a higher `q` first.
fn clauses(accept: &str) -> Vec<&str> {
    let weight = |clause: &str| {
        let weight = clause.split(';').find_map(|part| part.trim().strip_prefix("q="));
        weight.and_then(|weight| weight.parse::<f64>().ok()).unwrap_or(1.0)
    };
    let mut clauses: Vec<&str> = accept.split(',').filter(|clause| !clause.trim().is_empty()).collect();
    clauses.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
    clauses
}

fn medium(name: &str) -> Option<Media> {
    match name {
        "" | "*/*" | "application/*" | "application/json" => Some(Media::Json),
        "application/yaml" => Some(Media::Yaml),
        _ => None,
    }
}

/// Reads `Accept`: the first clause that can be served counts.
///
/// # Errors
/// 406 if there is none.
pub(crate) fn accept(request: &Request, place: Place) -> Result<Accept, Status> {
    let text = request.header(http::header::ACCEPT).unwrap_or_default();
    let clauses = clauses(text);
    if clauses.is_empty() {
        return Ok(Accept::default());
    }
    clauses.into_iter().find_map(|clause| taken(clause, place)).ok_or_else(|| not_acceptable(TAKEN))
}

/// Holds `Accept` to what the routes of built-in kinds produce, which is looked at before anything else.
///
/// # Errors
/// 406 if it names none of that.
pub(crate) fn produced(request: &Request) -> Result<(), Status> {
    let text = request.header(http::header::ACCEPT).unwrap_or_default();
    let clauses = clauses(text);
    let fits = |clause: &&str| {
        let name = clause.split(';').next().unwrap_or_default().trim();
        medium(name).is_some() || name == "application/vnd.kubernetes.protobuf"
    };
    if clauses.is_empty() || clauses.iter().any(fits) {
        return Ok(());
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {TAKEN}");
    Err(Status { details: no_such_method().details, ..Status::new(406, "NotAcceptable", message) })
}

pub(crate) fn not_acceptable(types: &str) -> Status {
    Status::new(406, "NotAcceptable", format!("only the following media types are accepted: {types}"))
}

fn taken(clause: &str, place: Place) -> Option<Accept> {
    let mut parts = clause.split(';').map(str::trim);
    let media = medium(parts.next()?)?;
    let (mut form, mut group, mut version) = ("", "", "");
    for part in parts {
        match part.split_once('=').unwrap_or((part, "")) {
            ("as", value) => form = value,
            ("g", value) => group = value,
            ("v", value) => version = value,
            ("stream", "watch") => {}
            ("stream", _) => return None,
            _ => {}
        }
    }
    let form = match (form, group, version, place) {
        ("", "", "", _) => Form::Whole,
        ("PartialObjectMetadata", "meta.k8s.io", "v1", Place::Object | Place::Table) => Form::Metadata,
        ("PartialObjectMetadataList", "meta.k8s.io", "v1", Place::Object | Place::Table) => {
            Form::MetadataList
        }
        ("Table", "meta.k8s.io", "v1", Place::Table) => Form::Table,
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2", Place::Discovery) => Form::Discovery,
        _ => return None,
    };
    Some(Accept { media, form })
}

/// What a body is written in.
///
/// # Errors
/// 415 for what is neither JSON nor YAML.
pub(crate) fn body_media(request: &Request) -> Result<Media, Status> {
    match content_type(request).as_str() {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        _ => Err(unsupported(TAKEN)),
    }
}

/// The kinds of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// What kind of patch a body is.
///
/// # Errors
/// 415 for other content types, in the words of built-in or of custom kinds.
pub(crate) fn patch_kind(request: &Request, resource: &Resource) -> Result<PatchKind, Refusal> {
    match content_type(request).as_str() {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        "application/strategic-merge-patch+json" if resource.custom.is_none() => Ok(PatchKind::Strategic),
        _ if resource.custom.is_some() => Err(unsupported(
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )
        .into()),
        _ => {
            let message = "415: Unsupported Media Type";
            let details = no_such_method().details;
            Err(Status { details, ..Status::new(415, "UnsupportedMediaType", message) }.into())
        }
    }
}

fn content_type(request: &Request) -> String {
    let text = request.header(http::header::CONTENT_TYPE).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_lowercase()
}

fn unsupported(types: &str) -> Status {
    let message =
        format!("the body of the request was in an unknown format - accepted media types include: {types}");
    Status::new(415, "UnsupportedMediaType", message)
}
