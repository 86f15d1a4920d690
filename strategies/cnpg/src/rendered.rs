//! The archive that the strategy's template describes. It is rendered strictly, because every string in it is a name
//! or a path, and checked before anything is written.

use std::collections::BTreeMap;

use backstay_sdk::template::{self, Context, Dialect, Options};
use backstay_sdk::{Deserialize, Failure, Finding, Request, Serialize, Severity, Value, serde_json};

use crate::spec::{CnpgSpec, Data, Template, Wal};

/// The pointer of the template in a finding.
const TEMPLATE: &str = "/strategy/template";
/// Default keys of the archive's Secrets.
const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const CA_KEY: &str = "ca.crt";

/// An archive: rendered, checked, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct Archive {
    /// Server name for a Cluster that does not archive yet.
    pub(crate) server_name: Option<String>,
    /// The destination path.
    pub(crate) destination: String,
    /// The address of the object store; empty means AWS.
    pub(crate) endpoint: String,
    /// The certificate authority.
    pub(crate) ca: Option<SecretKey>,
    /// The access keys.
    pub(crate) credentials: Option<Credentials>,
    /// Retention of backups and logs.
    pub(crate) retention: Option<String>,
    /// The storage format of write-ahead logs.
    pub(crate) wal: Option<Wal>,
    /// The storage format of base backups.
    pub(crate) data: Option<Data>,
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
pub(crate) struct SecretKey {
    pub(crate) name: String,
    pub(crate) key: String,
}

/// A Secret with access keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) id_key: String,
    pub(crate) secret_key: String,
}

/// Renders the archive of `application` with these parameters, or returns every field at fault.
pub(crate) fn archive(
    request: &Request<CnpgSpec>,
    application: &Value,
    parameters: &BTreeMap<String, String>,
) -> Result<Archive, Failure> {
    let spec = request.spec()?;
    let context = Context { parameters: parameters.clone(), ..Context::of(request, Some(application)) };
    let options = Options { strict: true, ..Options::default() };
    let rendered = template::render_owned(raw(&spec.template), TEMPLATE, spec.dialect, &context, &options)
        .map_err(|findings| refused("TemplateError", "cannot be rendered", findings))?;
    // Rendering changes strings only, and every string field accepts any string.
    let template: Template = serde_json::from_value(rendered.value)
        .map_err(|e| Failure::new("TemplateError", format!("the rendered template does not decode: {e}")))?;
    let findings = findings(&template, Dialect::Go, false);
    if findings.is_empty() {
        Ok(Archive::of(template))
    } else {
        Err(refused("InvalidStrategy", "describes no archive", findings))
    }
}

/// Returns the findings about a strategy without a run.
pub(crate) fn check(spec: &CnpgSpec) -> Vec<Finding> {
    let mut found = template::check(&raw(&spec.template), TEMPLATE, spec.dialect);
    found.extend(findings(&spec.template, spec.dialect, true));
    found
}

fn raw(template: &Template) -> Value {
    serde_json::to_value(template).expect("a template has string keys only, so that it has a JSON form")
}

impl Archive {
    fn of(template: Template) -> Self {
        let store = template.barman_object_store;
        let or = |text: Option<String>, default: &str| filled(text).unwrap_or_else(|| default.to_owned());
        Self {
            server_name: filled(template.server_name),
            destination: store.destination_path,
            endpoint: store.endpoint_url.unwrap_or_default(),
            ca: store
                .endpoint_ca
                .filter(|ca| !ca.secret_ref.name.is_empty())
                .map(|ca| SecretKey { name: ca.secret_ref.name, key: or(ca.key, CA_KEY) }),
            credentials: store.s3_credentials.map(|s3| Credentials {
                name: s3.secret_ref.name,
                id_key: or(s3.access_key_id_key, ACCESS_KEY_ID),
                secret_key: or(s3.secret_access_key_key, SECRET_ACCESS_KEY),
            }),
            retention: filled(store.retention_policy),
            wal: store
                .wal
                .map(|w| Wal { compression: filled(w.compression), encryption: filled(w.encryption) }),
            data: store.data.map(|d| Data {
                compression: filled(d.compression),
                encryption: filled(d.encryption),
                jobs: d.jobs,
            }),
        }
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

/// Returns the errors in a template. Before rendering (`raw`), fields that are templates are not checked.
fn findings(template: &Template, dialect: Dialect, raw: bool) -> Vec<Finding> {
    let is_template =
        |text: &str| raw && (text.contains("{{") || (dialect == Dialect::Minijinja && text.contains("{%")));
    let mut found = Vec::new();
    let mut check = |at: &str, text: &str, sound: fn(&str) -> bool, cause: &str| {
        if !is_template(text) && !sound(text) {
            let shown: String = text.chars().take(100).collect();
            found.push(Finding::error(format!("{TEMPLATE}/{at}"), format!("{shown:?} {cause}")));
        }
    };
    let store = &template.barman_object_store;
    check(
        "barmanObjectStore/destinationPath",
        &store.destination_path,
        |t| !t.trim().is_empty(),
        "is no place for an archive; write it as s3://bucket/folder/",
    );
    if let Some(name) = template.server_name.as_deref().filter(|n| !n.is_empty()) {
        let cause = "is no server name; letters, digits, dots, dashes and underscores make one";
        check("serverName", name, is_server_name, cause);
    }
    if let Some(retention) = store.retention_policy.as_deref().filter(|r| !r.is_empty()) {
        let cause = "is no retention; write a number of days, weeks or months, such as 30d";
        check("barmanObjectStore/retentionPolicy", retention, is_retention, cause);
    }
    let cause = "is no name of a Secret; name one in the application's namespace";
    if let Some(s3) = &store.s3_credentials {
        check("barmanObjectStore/s3Credentials/secretRef/name", &s3.secret_ref.name, is_object_name, cause);
    }
    if let Some(ca) = store.endpoint_ca.as_ref().filter(|ca| !ca.secret_ref.name.is_empty()) {
        check("barmanObjectStore/endpointCA/secretRef/name", &ca.secret_ref.name, is_object_name, cause);
    }
    found
}

fn is_server_name(text: &str) -> bool {
    text.len() <= 200 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// The pattern of the plugin's CRD: `^[1-9][0-9]*[dwm]$`.
fn is_retention(text: &str) -> bool {
    let digits = text.strip_suffix(['d', 'w', 'm']).unwrap_or_default();
    !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The names of Secrets: RFC 1123 subdomains.
fn is_object_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A failure whose message names the fields as paths for people.
fn refused(reason: &str, what: &str, findings: Vec<Finding>) -> Failure {
    /// Number of errors in the message; the findings hold all of them.
    const LISTED: usize = 8;
    let errors: Vec<&Finding> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    let mut message = format!("the strategy's template {what}");
    for finding in errors.iter().take(LISTED) {
        let path = finding.at.replacen("/strategy/", "spec.", 1).replace('/', ".");
        message.push_str(&format!("; {path}: {}", finding.message));
    }
    if errors.len() > LISTED {
        message.push_str(&format!("; and {} more", errors.len() - LISTED));
    }
    Failure::new(reason, message).with_findings(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_sdk::json;

    fn template(store: Value) -> Template {
        serde_json::from_value(json!({"barmanObjectStore": store})).unwrap()
    }

    fn at(store: Value, raw: bool) -> Vec<String> {
        findings(&template(store), Dialect::Go, raw).into_iter().map(|f| f.at).collect()
    }

    #[test]
    fn empty_blocks_and_names_are_left_out_and_keys_have_defaults() {
        let archive = Archive::of(template(json!({
            "destinationPath": "s3://b/", "retentionPolicy": "", "endpointCA": {"secretRef": {}},
            "s3Credentials": {"secretRef": {"name": "keys"}},
        })));
        assert_eq!((archive.ca, archive.retention, archive.endpoint.as_str()), (None, None, ""));
        let keys = archive.credentials.unwrap();
        assert_eq!((keys.id_key.as_str(), keys.secret_key.as_str()), (ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    }

    #[test]
    fn every_bad_field_is_found_at_once() {
        assert_eq!(
            at(
                json!({
                    "destinationPath": " ", "retentionPolicy": "030d", "endpointCA": {"secretRef": {"name": "A"}},
                    "s3Credentials": {"secretRef": {"name": ""}},
                }),
                false
            ),
            [
                "/strategy/template/barmanObjectStore/destinationPath",
                "/strategy/template/barmanObjectStore/retentionPolicy",
                "/strategy/template/barmanObjectStore/s3Credentials/secretRef/name",
                "/strategy/template/barmanObjectStore/endpointCA/secretRef/name",
            ]
        );
    }

    #[test]
    fn what_is_a_template_is_left_for_after_rendering() {
        let store = json!({"destinationPath": "s3://b", "retentionPolicy": "{{ .Parameters.keep }}"});
        assert_eq!(at(store.clone(), true), [""; 0]);
        assert_eq!(at(store, false).len(), 1);
    }
}
