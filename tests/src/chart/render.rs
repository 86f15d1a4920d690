//! The chart: renders the values of an application to objects.

use serde_json::{Map, Value, json};

const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";

/// Settings of the chart that depend on the machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The image of PostgreSQL.
    pub image: String,
}

/// Returns the objects of a release, in the order in which they are applied.
///
/// # Errors
/// The chart's message about the values.
pub fn render(release: &str, settings: &Settings, values: &Value) -> Result<Vec<Value>, String> {
    let recovers = flag(values, "/bootstrap/enabled");
    let credentials = Credentials::of(release, values);
    if recovers && flag(values, "/backup/useSystemBucket") {
        return Err(
            "bootstrap.enabled cannot be used with backup.useSystemBucket: recovery needs the archive's own \
                    destinationPath and credentials"
                .to_owned(),
        );
    }
    if recovers && credentials.is_none() {
        return Err("bootstrap.enabled needs backup.s3CredentialsSecret.name, or backup.s3AccessKey and \
                    backup.s3SecretKey"
            .to_owned());
    }
    let archives = flag(values, "/backup/enabled")
        && !flag(values, "/backup/useSystemBucket")
        && !text(values, "/backup/destinationPath").is_empty();

    let mut objects = Vec::new();
    objects.extend(credentials.as_ref().and_then(|credentials| credentials.secret(values)));
    let mut spec = json!({
        "instances": values.pointer("/replicas").cloned().unwrap_or(json!(1)),
        "imageName": settings.image,
        "enableSuperuserAccess": true,
        "storage": {"size": text(values, "/size")},
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"memory": "128Mi"}},
        "postgresql": {"parameters": {"shared_buffers": "32MB", "max_connections": "30"}},
        "affinity": {"enablePodAntiAffinity": false},
    });
    if recovers {
        objects.extend(
            credentials
                .as_ref()
                .map(|credentials| store(&format!("{release}-recovery"), values, credentials, None)),
        );
        spec["bootstrap"] = recovery(values);
        spec["externalClusters"] = external_clusters(release, values);
    }
    if let (true, Some(credentials)) = (archives, &credentials) {
        let retention = text(values, "/backup/retentionPolicy");
        objects.push(store(release, values, credentials, (!retention.is_empty()).then_some(retention)));
        spec["plugins"] = json!([{"name": PLUGIN, "isWALArchiver": true,
            "parameters": {"barmanObjectName": release, "serverName": release}}]);
    }
    objects.push(json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": {"name": release}, "spec": spec}));
    Ok(objects)
}

fn recovery(values: &Value) -> Value {
    let mut recovery = json!({"source": text(values, "/bootstrap/oldName")});
    let time = text(values, "/bootstrap/recoveryTime");
    if !time.is_empty() {
        recovery["recoveryTarget"] = json!({"targetTime": time});
    }
    json!({"recovery": recovery})
}

fn external_clusters(release: &str, values: &Value) -> Value {
    let name = text(values, "/bootstrap/oldName");
    let server = Some(text(values, "/bootstrap/serverName")).filter(|server| !server.is_empty());
    json!([{"name": name, "plugin": {"name": PLUGIN, "parameters":
        {"barmanObjectName": format!("{release}-recovery"), "serverName": server.unwrap_or(name)}}}])
}

/// Source of the archive's keys.
struct Credentials {
    secret: String,
    id: String,
    key: String,
    inline: bool,
}

impl Credentials {
    /// Returns the source in the values; keys in the values themselves win over a Secret.
    fn of(release: &str, values: &Value) -> Option<Self> {
        let field = |name: &str| text(values, &format!("/backup/s3CredentialsSecret/{name}"));
        if !text(values, "/backup/s3AccessKey").is_empty() && !text(values, "/backup/s3SecretKey").is_empty()
        {
            return Some(Self {
                secret: format!("{release}-s3-creds"),
                id: "AWS_ACCESS_KEY_ID".to_owned(),
                key: "AWS_SECRET_ACCESS_KEY".to_owned(),
                inline: true,
            });
        }
        let or = |name: &str, default: &str| {
            Some(field(name)).filter(|key| !key.is_empty()).unwrap_or(default).to_owned()
        };
        Some(field("name")).filter(|name| !name.is_empty()).map(|name| Self {
            secret: name.to_owned(),
            id: or("accessKeyIDKey", "AWS_ACCESS_KEY_ID"),
            key: or("secretAccessKeyKey", "AWS_SECRET_ACCESS_KEY"),
            inline: false,
        })
    }

    /// Returns the Secret that the chart makes of keys in the values.
    fn secret(&self, values: &Value) -> Option<Value> {
        self.inline.then(|| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.secret}, "stringData": {
                &self.id: text(values, "/backup/s3AccessKey"), &self.key: text(values, "/backup/s3SecretKey")}})
        })
    }
}

fn store(name: &str, values: &Value, credentials: &Credentials, retention: Option<&str>) -> Value {
    let mut configuration = Map::new();
    configuration.insert("destinationPath".to_owned(), text(values, "/backup/destinationPath").into());
    let endpoint = text(values, "/backup/endpointURL");
    if !endpoint.is_empty() {
        configuration.insert("endpointURL".to_owned(), endpoint.into());
    }
    let authority = text(values, "/backup/endpointCA/name");
    if !authority.is_empty() {
        let key = Some(text(values, "/backup/endpointCA/key")).filter(|key| !key.is_empty());
        configuration
            .insert("endpointCA".to_owned(), json!({"name": authority, "key": key.unwrap_or("ca.crt")}));
    }
    configuration.insert(
        "s3Credentials".to_owned(),
        json!({"accessKeyId": {"name": credentials.secret, "key": credentials.id},
            "secretAccessKey": {"name": credentials.secret, "key": credentials.key}}),
    );
    configuration.insert("wal".to_owned(), json!({"compression": "gzip"}));
    configuration.insert("data".to_owned(), json!({"compression": "gzip"}));
    let mut spec = json!({"configuration": configuration, "instanceSidecarConfiguration":
        {"env": [{"name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required"}]}});
    if let Some(retention) = retention {
        spec["retentionPolicy"] = retention.into();
    }
    json!({"apiVersion": "barmancloud.cnpg.io/v1", "kind": "ObjectStore", "metadata": {"name": name}, "spec": spec})
}

fn text<'a>(values: &'a Value, pointer: &str) -> &'a str {
    values.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn flag(values: &Value, pointer: &str) -> bool {
    values.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { image: "postgres:1".to_owned() }
    }

    fn kinds(objects: &[Value]) -> Vec<String> {
        objects.iter().map(|o| format!("{} {}", text(o, "/kind"), text(o, "/metadata/name"))).collect()
    }

    #[test]
    fn an_application_without_backup_is_a_cluster_alone() {
        let objects = render("postgres-a", &settings(), &json!({"size": "1Gi"})).unwrap();
        assert_eq!(kinds(&objects), ["Cluster postgres-a"]);
        assert_eq!(objects[0].pointer("/spec/plugins"), None);
        assert_eq!(objects[0].pointer("/spec/bootstrap"), None);
    }

    #[test]
    fn a_chart_managed_archive_is_pinned_to_the_release() {
        let values = json!({"backup": {"enabled": true, "destinationPath": "s3://b/", "s3CredentialsSecret": {"name": "k"}}});
        let objects = render("postgres-a", &settings(), &values).unwrap();
        assert_eq!(kinds(&objects), ["ObjectStore postgres-a", "Cluster postgres-a"]);
        assert_eq!(text(&objects[1], "/spec/plugins/0/parameters/serverName"), "postgres-a");
    }

    #[test]
    fn recovery_names_source_server_and_time() {
        let values = json!({"bootstrap": {"enabled": true, "oldName": "old", "recoveryTime": "2026-01-31 10:00:00+00"},
            "backup": {"destinationPath": "s3://b/", "endpointURL": "", "s3CredentialsSecret": {"name": "k"}}});
        let objects = render("postgres-a", &settings(), &values).unwrap();
        assert_eq!(kinds(&objects), ["ObjectStore postgres-a-recovery", "Cluster postgres-a"]);
        assert_eq!(objects[0].pointer("/spec/configuration/endpointURL"), None, "empty is none");
        let cluster = &objects[1];
        assert_eq!(text(cluster, "/spec/bootstrap/recovery/source"), "old");
        assert_eq!(
            text(cluster, "/spec/bootstrap/recovery/recoveryTarget/targetTime"),
            "2026-01-31 10:00:00+00"
        );
        assert_eq!(text(cluster, "/spec/externalClusters/0/plugin/parameters/serverName"), "old");
    }

    #[test]
    fn recovery_does_not_render_for_the_system_bucket_or_without_credentials() {
        let bucket = json!({"bootstrap": {"enabled": true}, "backup": {"useSystemBucket": true,
            "s3CredentialsSecret": {"name": "k"}}});
        assert!(render("postgres-a", &settings(), &bucket).unwrap_err().contains("useSystemBucket"));
        let nothing = json!({"bootstrap": {"enabled": true}, "backup": {"s3AccessKey": "only one"}});
        assert!(render("postgres-a", &settings(), &nothing).unwrap_err().contains("s3CredentialsSecret"));
    }

    #[test]
    fn keys_in_the_values_become_a_secret() {
        let values = json!({"backup": {"enabled": true, "destinationPath": "s3://b/", "s3AccessKey": "a", "s3SecretKey": "s"}});
        let objects = render("postgres-a", &settings(), &values).unwrap();
        assert_eq!(
            kinds(&objects),
            ["Secret postgres-a-s3-creds", "ObjectStore postgres-a", "Cluster postgres-a"]
        );
    }
}
