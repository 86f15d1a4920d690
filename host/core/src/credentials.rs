//! Projects the platform's object-store credentials into the namespaces of runs: from the source Secret to the target
//! Secret (docs/rules.md F14, docs/decisions/0011-credentials.md).

use std::collections::BTreeMap;

use backstay_api::conditions::reasons;
use backstay_api::labels;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use serde_json::json;

use crate::contract::{Outcome, Pairs};

/// Annotation of a projected Secret: `namespace/name` of its source.
pub const SOURCE_ANNOTATION: &str = "backstay.dev/projected-from";
/// Replacement of a credential in a text.
const WITHHELD: &str = "[credential withheld]";
/// Keys that the target lacks if they have no value.
const OPTIONAL: [&str; 4] = ["endpoint", "bucketName", "region", "forcePathStyle"];

/// Configuration of the projection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Namespace of the source Secret.
    pub source_namespace: String,
    /// Name of the source Secret.
    pub source_name: String,
    /// Name of the Secret in the namespaces of runs.
    pub target: String,
    /// Endpoint if the source names none.
    pub endpoint: Option<String>,
    /// Region if the source names none.
    pub region: Option<String>,
    /// Value of the target's key `forcePathStyle`: whether clients put the bucket into the path.
    pub force_path_style: Option<bool>,
    /// Namespaces that always have the Secret.
    pub namespaces: Vec<String>,
}

/// Why credentials cannot be projected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The source does not exist; runs wait for it.
    #[error("source credentials Secret {namespace}/{name} not found")]
    SourceMissing {
        /// Namespace of the source.
        namespace: String,
        /// Name of the source.
        name: String,
    },
    /// The source lacks a key, or does not parse.
    #[error("{0}")]
    SourceMalformed(String),
    /// A Secret of the target's name exists, and the controller did not make it.
    #[error(
        "target Secret {namespace}/{name} exists without {missing}; refusing to overwrite: rename or remove it"
    )]
    TargetNotOwned {
        /// Namespace of the target.
        namespace: String,
        /// Name of the target.
        name: String,
        /// The label or annotation that the Secret lacks.
        missing: String,
    },
}

impl CredentialsError {
    /// Returns the reason of the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SourceMissing { .. } => reasons::SOURCE_SECRET_MISSING,
            Self::SourceMalformed(_) => reasons::SOURCE_SECRET_MALFORMED,
            Self::TargetNotOwned { .. } => reasons::TARGET_SECRET_NOT_OWNED,
        }
    }

    /// Returns whether a run waits for the error to go away instead of failing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::SourceMissing { .. })
    }
}

/// The credentials in the platform's Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key: String,
    secret_key: String,
    endpoint: String,
    bucket: String,
    region: String,
    force_path_style: Option<bool>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BucketInfo {
    spec: BucketSpec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BucketSpec {
    bucket_name: String,
    #[serde(rename = "secretS3")]
    s3: S3,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct S3 {
    #[serde(rename = "accessKeyID")]
    access_key: String,
    #[serde(rename = "accessSecretKey")]
    secret_key: String,
    endpoint: String,
    region: String,
}

impl Credentials {
    /// Reads the source Secret: its flat keys, and for those that are empty the `BucketInfo` of a bucket claim.
    ///
    /// # Errors
    /// The Secret lacks a key, or its `BucketInfo` does not parse.
    pub fn read(source: &Secret, projection: &Projection) -> Result<Self, CredentialsError> {
        let text = |key: &str| {
            let value = source.data.as_ref().and_then(|data| data.get(key));
            value.map(|value| String::from_utf8_lossy(&value.0).trim().to_owned()).unwrap_or_default()
        };
        let (access_key, secret_key) = (text("accessKey"), text("secretKey"));
        let info = match text("BucketInfo") {
            info if info.is_empty() => BucketInfo::default(),
            info => match serde_json::from_str(&info) {
                Ok(info) => info,
                Err(_) if !access_key.is_empty() && !secret_key.is_empty() => BucketInfo::default(),
                // The message names the place and none of the content.
                Err(e) => {
                    let why = format!("parse BucketInfo: line {} column {}", e.line(), e.column());
                    return Err(CredentialsError::SourceMalformed(why));
                }
            },
        };
        let or = |own: String, other: &str| if own.is_empty() { other.to_owned() } else { own };
        let s3 = &info.spec.s3;
        let configured = |value: &Option<String>| value.clone().unwrap_or_default();
        let malformed = |what: &str| {
            CredentialsError::SourceMalformed(format!(
                "source credentials Secret {}/{} missing {what}",
                projection.source_namespace, projection.source_name
            ))
        };
        let credentials = Self {
            access_key: or(access_key, &s3.access_key),
            secret_key: or(secret_key, &s3.secret_key),
            endpoint: or(
                without_scheme(&or(text("endpoint"), &s3.endpoint)),
                &without_scheme(&configured(&projection.endpoint)),
            ),
            bucket: or(text("bucketName"), &info.spec.bucket_name),
            region: or(or(text("region"), &s3.region), &configured(&projection.region)),
            force_path_style: projection.force_path_style,
        };
        for (value, key) in [
            (&credentials.access_key, "accessKey"),
            (&credentials.secret_key, "secretKey"),
            (&credentials.endpoint, "endpoint"),
        ] {
            if value.is_empty() {
                return Err(malformed(key));
            }
        }
        Ok(credentials)
    }

    fn content(&self) -> Pairs {
        let (access, secret) = (&self.access_key, &self.secret_key);
        let mut content: Pairs = [
            ("AWS_ACCESS_KEY_ID", access.clone()),
            ("accessKey", access.clone()),
            ("AWS_SECRET_ACCESS_KEY", secret.clone()),
            ("secretKey", secret.clone()),
            ("cloud", format!("[default]\naws_access_key_id={access}\naws_secret_access_key={secret}\n")),
            (
                "blob_credentials.json",
                json!({"accounts": {(self.endpoint.as_str()): {"api_key": access, "secret": secret}}})
                    .to_string(),
            ),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let force = self.force_path_style.map(|on| on.to_string()).unwrap_or_default();
        for (key, value) in OPTIONAL.into_iter().zip([&self.endpoint, &self.bucket, &self.region, &force]) {
            if !value.is_empty() {
                content.insert(key.to_owned(), value.clone());
            }
        }
        content
    }

    /// Returns the target Secret to write over `there`, or `None` if that is up to date. Foreign keys and labels stay.
    ///
    /// # Errors
    /// The controller did not make `there`.
    pub fn target(
        &self,
        there: Option<&Secret>,
        namespace: &str,
        projection: &Projection,
    ) -> Result<Option<Secret>, CredentialsError> {
        let source = format!("{}/{}", projection.source_namespace, projection.source_name);
        let mut wanted = there.cloned().unwrap_or_default();
        if let Some(there) = there {
            check_owned(there, namespace, projection, &source)?;
        }
        let meta = &mut wanted.metadata;
        meta.name = Some(projection.target.clone());
        meta.namespace = Some(namespace.to_owned());
        meta.managed_fields = None;
        meta.labels
            .get_or_insert_default()
            .insert(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_BACKUPS.to_owned());
        meta.annotations.get_or_insert_default().insert(SOURCE_ANNOTATION.to_owned(), source);
        wanted.type_.get_or_insert_with(|| "Opaque".to_owned());
        let data: &mut BTreeMap<String, ByteString> = wanted.data.get_or_insert_default();
        for key in OPTIONAL {
            data.remove(key);
        }
        data.extend(self.content().into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))));
        let same = there.is_some_and(|there| {
            there.data == wanted.data
                && there.metadata.labels == wanted.metadata.labels
                && there.metadata.annotations == wanted.metadata.annotations
        });
        Ok((!same).then_some(wanted))
    }

    /// Returns earlier credentials, of which only the secret key is known: enough to keep it from tenants.
    #[must_use]
    pub fn earlier(secret_key: String) -> Self {
        let empty = String::new;
        Self {
            access_key: empty(),
            secret_key,
            endpoint: empty(),
            bucket: empty(),
            region: empty(),
            force_path_style: None,
        }
    }

    /// Returns the secret key that a target Secret has now, if it has one.
    #[must_use]
    pub fn secret_key_of(target: &Secret) -> Option<String> {
        let key = &target.data.as_ref()?.get("secretKey")?.0;
        Some(String::from_utf8_lossy(key).into_owned()).filter(|key| !key.is_empty())
    }

    /// Returns the secret key.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Replaces the secret key in a text.
    pub fn redact(&self, text: &mut String) {
        if text.contains(&self.secret_key) {
            *text = text.replace(&self.secret_key, WITHHELD);
        }
    }

    /// Removes the secret key from an outcome, since tenants will read it.
    pub fn withhold(&self, outcome: &mut Outcome) {
        let holds = |text: &str| text.contains(&self.secret_key);
        outcome.metadata.retain(|key, value| !holds(key) && !holds(value));
        if let Some(artifact) = &mut outcome.artifact {
            self.redact(&mut artifact.uri);
        }
        if outcome.underlying_resources.as_ref().is_some_and(|object| holds(&object.to_string())) {
            outcome.underlying_resources = None;
        }
        for condition in &mut outcome.conditions {
            self.redact(&mut condition.message);
        }
    }
}

/// Checks that the controller made the Secret: it has the label that the Go implementation sets too, and its annotation,
/// if any, names our source.
fn check_owned(
    there: &Secret,
    namespace: &str,
    projection: &Projection,
    source: &str,
) -> Result<(), CredentialsError> {
    let not_owned = |missing: String| CredentialsError::TargetNotOwned {
        namespace: namespace.to_owned(),
        name: projection.target.clone(),
        missing,
    };
    let label = there.metadata.labels.as_ref().and_then(|l| l.get(labels::MANAGED_BY)).map(String::as_str);
    if label != Some(labels::MANAGED_BY_BACKUPS) {
        return Err(not_owned(format!("label {}={}", labels::MANAGED_BY, labels::MANAGED_BY_BACKUPS)));
    }
    let from = there.metadata.annotations.as_ref().and_then(|a| a.get(SOURCE_ANNOTATION));
    match from {
        Some(from) if from != source => Err(not_owned(format!("annotation {SOURCE_ANNOTATION}={source}"))),
        _ => Ok(()),
    }
}

/// Returns an endpoint in the form that all clients accept: host, port, and a path other than `/`.
fn without_scheme(endpoint: &str) -> String {
    let bare =
        endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://")).unwrap_or(endpoint);
    bare.strip_suffix('/').filter(|rest| !rest.contains('/')).unwrap_or(bare).to_owned()
}

#[cfg(test)]
mod tests;
