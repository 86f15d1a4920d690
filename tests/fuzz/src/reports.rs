//! Results: parses termination messages, logs and reasons of finished pods.

use std::sync::LazyLock;

use backstay_sdk::results::{cause_of_failure, report};
use backstay_sdk::{Container, Pod, PodResult};
use serde_json::json;

use crate::choose::Choose;
use crate::mutate;

static MESSAGES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let checksum = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let full = json!({
        "artifact": {"uri": "s3://bucket/key.tar", "sizeBytes": 1024, "checksum": checksum},
        "metadata": {"files": "3", "example.org/label": "A7"},
    });
    let texts = [
        full.to_string(),
        format!("uploading\n{full}\ndone\n"),
        format!("{full:#}"),
        r#"{"artifact":{"uri":"s3://b/k"}}"#.to_owned(),
        r#"{"metadata":{"a":"b"}}"#.to_owned(),
        r#"{"metadata":{"backups.cozystack.io/a":"b"}}"#.to_owned(),
        r#"{"artifact":null,"metadata":null}"#.to_owned(),
        r#"{"level":"info","artifact":"none"}"#.to_owned(),
        "tar: data: No such file or directory\n".to_owned(),
    ];
    texts.into()
});

/// Returns a finished Job.
pub(crate) fn ended(choose: &mut Choose<'_>) -> PodResult {
    const REASONS: [&str; 13] = [
        "",
        "Error",
        "Completed",
        "OOMKilled",
        "Evicted",
        "DeadlineExceeded",
        "BackoffLimitExceeded",
        "ImagePullBackOff",
        "CreateContainerConfigError",
        "Preempted",
        "Stopped",
        "Deleted",
        "ContainerRunsOn",
    ];
    let container = |choose: &mut Choose<'_>| Container {
        name: choose.word(&["dump", "", "é"]).to_owned(),
        exit_code: (!choose.once_in(5)).then(|| choose.integer() as i32),
        reason: choose.word(&REASONS).to_owned(),
        sidecar: choose.once_in(5),
        message: message(choose),
        log: choose.text(),
    };
    let pod = |choose: &mut Choose<'_>| Pod {
        name: "pod".to_owned(),
        reason: choose.word(&REASONS).to_owned(),
        message: choose.text(),
        started_at: Some(choose.integer()),
        finished_at: Some(choose.integer()),
        containers: (0..choose.up_to(3)).map(|_| container(choose)).collect(),
    };
    PodResult {
        succeeded: !choose.once_in(3),
        reason: choose.word(&REASONS).to_owned(),
        message: choose.text(),
        pods: (0..choose.up_to(3)).map(|_| pod(choose)).collect(),
        data: choose.once_in(4).then(|| choose.json(2)),
    }
}

fn message(choose: &mut Choose<'_>) -> String {
    match choose.up_to(5) {
        0 => choose.raw(200),
        1 => json!({"artifact": {"uri": choose.text(), "sizeBytes": choose.json(1)}, "metadata": choose.object(1)}).to_string(),
        2 => choose.text(),
        _ => mutate::mutated(choose, &MESSAGES),
    }
}

/// Checks the parser of results.
///
/// # Errors
/// The fault.
pub fn results(input: &[u8]) -> Result<(), String> {
    let ended = ended(&mut Choose::new(input));
    let cause = cause_of_failure(&ended);
    if cause.is_empty() || cause.len() > 16 << 10 {
        return Err(format!("a cause of {} bytes: {ended:?}", cause.len()));
    }
    let found = match report(&ended) {
        Ok(None) => return Ok(()),
        Ok(Some(found)) => found,
        Err(error) if error.to_string().len() <= 4 << 10 => return Ok(()),
        Err(error) => return Err(format!("a message of {} bytes: {ended:?}", error.to_string().len())),
    };
    let uri = found.artifact.as_ref().map_or("a:b", |artifact| artifact.uri.as_str());
    let size = found.artifact.as_ref().and_then(|artifact| artifact.size_bytes).unwrap_or(0);
    let checksum = found.artifact.as_ref().and_then(|artifact| artifact.checksum.clone());
    let fits = uri.len() <= 2048
        && uri.contains(':')
        && !uri.contains(|c: char| c.is_whitespace() || c.is_control())
        && i64::try_from(size).is_ok()
        && checksum
            .as_ref()
            .is_none_or(|c| c.len() == 71 && c.starts_with("sha256:") && *c == c.to_ascii_lowercase())
        && found.metadata.len() <= 64
        && found
            .metadata
            .iter()
            .all(|(key, value)| !key.is_empty() && key.len() <= 253 && value.len() <= 1024)
        && !found.metadata.keys().any(|key| is_reserved(key));
    if !fits {
        return Err(format!("a report that must not be: {found:?} of {ended:?}"));
    }
    // The parsed report, printed on one line, parses to the same.
    let artifact = found
        .artifact
        .as_ref()
        .map(|a| json!({"uri": a.uri, "sizeBytes": a.size_bytes, "checksum": a.checksum}));
    let line = json!({"artifact": artifact, "metadata": found.metadata}).to_string();
    let container = Container { message: format!("before\n{line}\nafter"), ..Container::default() };
    let pods = vec![Pod { containers: vec![container], ..Pod::default() }];
    match report(&PodResult { pods, ..ended }) {
        Ok(Some(again)) if again == found => Ok(()),
        other => Err(format!("{line} is read as {other:?}")),
    }
}

/// Returns whether a key is in a domain that the host writes.
fn is_reserved(key: &str) -> bool {
    let domain = key.split_once('/').map_or(String::new(), |(domain, _)| format!(".{domain}"));
    [".backups.cozystack.io", ".backstay.dev", ".velero.io"].iter().any(|reserved| domain.ends_with(reserved))
}
