//! The report that a container leaves in its termination message:
//! `{"artifact":{"uri":…,"sizeBytes":…,"checksum":…},"metadata":{…}}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::pod::{Container, PodResult};
use crate::request::Artifact;

/// Kubernetes keeps this many last bytes of a termination message.
const KEPT_BYTES: usize = 4096;
/// The longest `artifact.uri`, in bytes.
const URI_BYTES: usize = 2048;
/// The maximum number of entries in `metadata`, and the maximum bytes of a key and a value.
const METADATA_ENTRIES: usize = 64;
const METADATA_KEY_BYTES: usize = 253;
const METADATA_VALUE_BYTES: usize = 1024;
/// Domains of metadata keys that only the host writes. A report with such a key could change the request of a restore.
const RESERVED_DOMAINS: [&str; 3] = ["backups.cozystack.io", "backstay.dev", "velero.io"];

/// The report of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The location of the data.
    pub artifact: Option<Artifact>,
    /// Entries for the Backup's `spec.driverMetadata`.
    pub metadata: BTreeMap<String, String>,
}

/// A report that cannot be used. The data was written nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the report in the termination message of container {container} is not valid: {cause}")]
pub struct ReportError {
    /// The container that wrote it.
    pub container: String,
    /// The error in the report.
    pub cause: ReportFault,
}

impl ReportError {
    /// Returns the reason for a condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "MalformedReport"
    }
}

/// The error in a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportFault {
    /// It starts like a report, but is no JSON.
    #[error(
        "it is not JSON ({0}); print it on one line, and note that Kubernetes cuts termination messages at 4096 bytes"
    )]
    NotJson(String),
    /// It exceeds the bytes that Kubernetes keeps, so its beginning is missing.
    #[error(
        "its beginning is missing, for Kubernetes keeps only the last 4096 bytes of a termination message: report less"
    )]
    Cut,
    /// A field has the wrong type or form.
    #[error("{field} {rule}")]
    Field {
        /// The field.
        field: String,
        /// The rule that the field breaks.
        rule: &'static str,
    },
    /// More than one container wrote a report.
    #[error("container {0} reports too; only one container may")]
    Twice(String),
}

/// Returns the report of the newest pod, or `None` if no container of it wrote one.
///
/// A report is the last line of a termination message that is a JSON object with a key `artifact` or `metadata`, or
/// the whole message if it is such an object. Other lines are ignored. Unknown keys are reserved for later versions.
///
/// # Errors
/// A line starts like a report and is none, a field has the wrong form, or two containers wrote a report.
pub fn report(ended: &PodResult) -> Result<Option<Report>, ReportError> {
    let Some(pod) = ended.pods.first() else { return Ok(None) };
    let mut found: Option<(&Container, Report)> = None;
    for container in &pod.containers {
        let fault = |cause| ReportError { container: container.name.clone(), cause };
        let Some(object) = object(&container.message).map_err(fault)? else { continue };
        if let Some((first, _)) = &found {
            return Err(fault(ReportFault::Twice(first.name.clone())));
        }
        found = Some((container, read(&object).map_err(fault)?));
    }
    Ok(found.map(|(_, report)| report))
}

/// Returns the JSON object of the report, if the message holds one.
fn object(message: &str) -> Result<Option<Map<String, Value>>, ReportFault> {
    if let Ok(Value::Object(object)) = serde_json::from_str(message.trim()) {
        return Ok(Some(object).filter(is_report));
    }
    let mut fault = None;
    for line in message.lines().rev().map(str::trim).filter(|l| l.starts_with('{')) {
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(object)) if is_report(&object) => return Ok(Some(object)),
            Ok(_) => {}
            Err(e) if line.contains("\"artifact\"") => {
                fault.get_or_insert(ReportFault::NotJson(e.to_string()));
            }
            Err(_) => {}
        }
    }
    match fault {
        Some(fault) => Err(fault),
        // A report printed on several lines, and truncated or malformed.
        None if message.trim_start().starts_with('{') && message.contains("\"artifact\"") => {
            let cause = serde_json::from_str::<Value>(message.trim()).err();
            Err(ReportFault::NotJson(cause.map(|e| e.to_string()).unwrap_or_default()))
        }
        // Kubernetes keeps the end of a long message: this is the end of one long line of JSON.
        None if message.len() >= KEPT_BYTES && is_end_of_json(message) => Err(ReportFault::Cut),
        None => Ok(None),
    }
}

fn is_end_of_json(message: &str) -> bool {
    let message = message.trim_end();
    message.ends_with('}') && !message.starts_with('{') && !message.contains('\n')
}

fn is_report(object: &Map<String, Value>) -> bool {
    object.contains_key("artifact") || object.contains_key("metadata")
}

fn read(object: &Map<String, Value>) -> Result<Report, ReportFault> {
    let artifact = match object.get("artifact") {
        None | Some(Value::Null) => None,
        Some(Value::Object(artifact)) => Some(self::artifact(artifact)?),
        Some(_) => return Err(field("artifact", "must be an object")),
    };
    let metadata = match object.get("metadata") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(metadata)) => self::metadata(metadata)?,
        Some(_) => return Err(field("metadata", "must be an object of strings")),
    };
    Ok(Report { artifact, metadata })
}

fn artifact(object: &Map<String, Value>) -> Result<Artifact, ReportFault> {
    let uri = match object.get("uri") {
        Some(Value::String(uri)) if is_uri(uri) => uri.clone(),
        _ => {
            return Err(field(
                "artifact.uri",
                "must be a URI with a scheme, such as s3://bucket/key, of at most 2048 bytes without spaces",
            ));
        }
    };
    let size_bytes = match object.get("sizeBytes") {
        None | Some(Value::Null) => None,
        // The CRD field is an int64.
        Some(size) => Some(size.as_i64().and_then(|s| u64::try_from(s).ok()).ok_or_else(|| {
            field("artifact.sizeBytes", "must be a whole number of bytes, not a string and not negative")
        })?),
    };
    let checksum = match object.get("checksum") {
        None | Some(Value::Null) => None,
        Some(Value::String(checksum)) if is_checksum(checksum) => Some(checksum.to_ascii_lowercase()),
        Some(_) => return Err(field("artifact.checksum", "must be sha256: and 64 hexadecimal digits")),
    };
    Ok(Artifact { uri, size_bytes, checksum })
}

fn metadata(object: &Map<String, Value>) -> Result<BTreeMap<String, String>, ReportFault> {
    if object.len() > METADATA_ENTRIES {
        return Err(field("metadata", "must not have more than 64 entries"));
    }
    let mut metadata = BTreeMap::new();
    for (key, value) in object {
        let at = || format!("metadata.{}", key.chars().take(64).collect::<String>());
        if key.is_empty() || key.len() > METADATA_KEY_BYTES {
            return Err(field(at(), "must have a name of 1 to 253 bytes"));
        }
        if is_reserved(key) {
            return Err(field(at(), "is a key that the controller writes; choose another domain"));
        }
        match value {
            Value::String(text) if text.len() <= METADATA_VALUE_BYTES => {
                metadata.insert(key.clone(), text.clone());
            }
            _ => return Err(field(at(), "must be a string of at most 1024 bytes")),
        }
    }
    Ok(metadata)
}

fn field(field: impl Into<String>, rule: &'static str) -> ReportFault {
    ReportFault::Field { field: field.into(), rule }
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    text.len() <= URI_BYTES
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        && !rest.is_empty()
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_checksum(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_reserved(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    RESERVED_DOMAINS
        .iter()
        .any(|r| domain.strip_suffix(r).is_some_and(|sub| sub.is_empty() || sub.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Pod;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn ended(messages: &[(&str, &str)]) -> PodResult {
        let containers = messages.iter().map(|(name, message)| Container {
            name: (*name).to_owned(),
            exit_code: Some(0),
            message: (*message).to_owned(),
            ..Container::default()
        });
        PodResult {
            succeeded: true,
            reason: String::new(),
            message: String::new(),
            pods: vec![Pod { containers: containers.collect(), ..Pod::default() }],
            data: None,
        }
    }

    fn one(message: &str) -> Result<Option<Report>, String> {
        report(&ended(&[("dump", message)])).map_err(|e| e.to_string())
    }

    #[test]
    fn a_full_report_is_read() {
        let message = format!(
            r#"{{"artifact":{{"uri":"s3://b/k.tar","sizeBytes":12,"checksum":"sha256:{HEX}"}},"metadata":{{"files":"3"}}}}"#
        );
        let report = one(&message).unwrap().unwrap();
        let artifact = report.artifact.unwrap();
        assert_eq!((artifact.uri.as_str(), artifact.size_bytes), ("s3://b/k.tar", Some(12)));
        assert_eq!(artifact.checksum, Some(format!("sha256:{HEX}")));
        assert_eq!(report.metadata["files"], "3");
    }

    #[test]
    fn lines_before_and_after_a_report_do_not_hurt() {
        let message = "uploading\n{\"level\":\"info\"}\n{\"artifact\":{\"uri\":\"s3://b/k\"}}\ndone\n";
        assert_eq!(one(message).unwrap().unwrap().artifact.unwrap().uri, "s3://b/k");
    }

    #[test]
    fn the_last_of_several_reports_counts() {
        let message = "{\"artifact\":{\"uri\":\"s3://b/1\"}}\n{\"artifact\":{\"uri\":\"s3://b/2\"}}";
        assert_eq!(one(message).unwrap().unwrap().artifact.unwrap().uri, "s3://b/2");
    }

    #[test]
    fn a_report_on_several_lines_is_read() {
        let message = "{\n  \"artifact\": {\n    \"uri\": \"s3://b/k\"\n  }\n}\n";
        assert_eq!(one(message).unwrap().unwrap().artifact.unwrap().uri, "s3://b/k");
    }

    #[test]
    fn text_and_other_json_are_no_report() {
        for message in ["", "all good", "{\"level\":\"info\"}", "[1]", "{ not json"] {
            assert_eq!(one(message), Ok(None), "{message}");
        }
    }

    #[test]
    fn no_pod_is_no_report() {
        let none = PodResult { pods: Vec::new(), ..ended(&[]) };
        assert_eq!(report(&none), Ok(None));
    }

    #[test]
    fn a_report_that_was_cut_says_so() {
        let error = one(r#"{"artifact":{"uri":"s3://b/k","sizeB"#).unwrap_err();
        assert!(error.contains("container dump") && error.contains("4096 bytes"), "{error}");
    }

    #[test]
    fn a_report_that_lost_its_beginning_says_so() {
        let long = format!(r#"{{"artifact":{{"uri":"s3://b/{}"}}}}"#, "k".repeat(9000));
        let error = one(&long[long.len() - 4096..]).unwrap_err();
        assert!(error.contains("its beginning is missing") && error.contains("report less"), "{error}");
        // The end of a long log is no report, even if its last line is JSON.
        assert_eq!(one(&format!("{}\n{{\"level\":\"info\"}}", "x".repeat(4096))), Ok(None));
    }

    #[test]
    fn a_field_of_the_wrong_form_is_named() {
        for (report, field) in [
            (r#"{"artifact":"s3://b/k"}"#, "artifact must be an object"),
            (r#"{"artifact":{}}"#, "artifact.uri"),
            (r#"{"artifact":{"uri":"no scheme"}}"#, "artifact.uri"),
            (r#"{"artifact":{"uri":"s3://with a space"}}"#, "artifact.uri"),
            (r#"{"artifact":{"uri":"s3://b/k","sizeBytes":"12"}}"#, "artifact.sizeBytes"),
            (r#"{"artifact":{"uri":"s3://b/k","sizeBytes":-1}}"#, "artifact.sizeBytes"),
            (r#"{"artifact":{"uri":"s3://b/k","sizeBytes":1.5}}"#, "artifact.sizeBytes"),
            (r#"{"artifact":{"uri":"s3://b/k","checksum":"md5:00"}}"#, "artifact.checksum"),
            (r#"{"artifact":{"uri":"s3://b/k","checksum":"sha256:00"}}"#, "artifact.checksum"),
            (r#"{"metadata":["a"]}"#, "metadata must be an object"),
            (r#"{"metadata":{"files":3}}"#, "metadata.files"),
            (
                r#"{"metadata":{"job.strategy.backups.cozystack.io/parameter/x":"1"}}"#,
                "the controller writes",
            ),
        ] {
            let error = one(report).unwrap_err();
            assert!(error.contains(field), "{report}: {error}");
        }
    }

    #[test]
    fn an_address_longer_than_its_bound_is_refused() {
        let report = |len: usize| format!(r#"{{"artifact":{{"uri":"s3:{}"}}}}"#, "k".repeat(len - 3));
        assert!(one(&report(2048)).is_ok());
        assert!(one(&report(2049)).is_err());
    }

    #[test]
    fn two_containers_that_report_are_refused() {
        let message = r#"{"artifact":{"uri":"s3://b/k"}}"#;
        let error = report(&ended(&[("a", message), ("b", message)])).unwrap_err();
        assert!(error.to_string().contains("container a reports too"), "{error}");
    }

    #[test]
    fn a_retry_that_failed_before_does_not_report() {
        let mut result = ended(&[("dump", "done")]);
        result.pods.extend(ended(&[("dump", r#"{"artifact":{"uri":"s3://b/half"}}"#)]).pods);
        assert_eq!(report(&result), Ok(None));
    }
}
