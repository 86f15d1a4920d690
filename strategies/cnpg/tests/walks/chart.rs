//! The application as its API serves it, and the chart that is rendered from its values.
//!
//! The API stores nothing but the HelmRelease: a write of the application builds that anew, without `spec.suspend` and
//! without annotations of others. What is left out of the values has the chart's defaults, some of which are
//! placeholders.

use backstay_testing::World;
use backstay_testing::contract::{Json, ObjectRef, WriteError};
use serde_json::json;

pub(crate) const NAMESPACE: &str = "tenant-a";
pub(crate) const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
pub(crate) const CNPG: &str = "postgresql.cnpg.io/v1";
pub(crate) const BARMAN: &str = "barmancloud.cnpg.io/v1";
pub(crate) const HELM: &str = "helm.toolkit.fluxcd.io/v2";
pub(crate) const APPS: &str = "apps.cozystack.io/v1alpha1";
const PLACEHOLDER_PATH: &str = "s3://bucket/path/to/folder/";
const PLACEHOLDER_ENDPOINT: &str = "http://minio-gateway-service:9000";

pub(crate) fn object(api_version: &str, kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: Some(NAMESPACE.into()),
        name: name.into(),
    }
}

pub(crate) fn application(app: &str) -> ObjectRef {
    object(APPS, "Postgres", app)
}

pub(crate) fn release(app: &str) -> ObjectRef {
    object(HELM, "HelmRelease", &format!("postgres-{app}"))
}

pub(crate) fn cluster(app: &str) -> ObjectRef {
    object(CNPG, "Cluster", &format!("postgres-{app}"))
}

pub(crate) fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// Whether the release sleeps; one that is not there does nothing either.
pub(crate) fn asleep(world: &World, app: &str) -> bool {
    world.get(&release(app)).is_none_or(|r| r["spec"]["suspend"] == true)
}

/// Values with the chart's defaults.
pub(crate) fn with_defaults(values: &Json) -> Json {
    let mut full = values.clone();
    let mut default = |section: &str, key: &str, value: Json| {
        if !full[section].is_object() {
            full[section] = json!({});
        }
        if full[section][key].is_null() {
            full[section][key] = value;
        }
    };
    default("bootstrap", "enabled", json!(false));
    default("backup", "enabled", json!(false));
    default("backup", "useSystemBucket", json!(false));
    default("backup", "destinationPath", json!(PLACEHOLDER_PATH));
    default("backup", "endpointURL", json!(PLACEHOLDER_ENDPOINT));
    full
}

/// Puts an application and its release into the world, and has their API serve them from here on.
pub(crate) fn install(world: &mut World, app: &str, values: &Json, suspended: bool) {
    world.serve(APPS, "Postgres", serve_application);
    world.serve(HELM, "HelmRelease", serve_release);
    world.put(json!({
        "apiVersion": APPS, "kind": "Postgres",
        "metadata": {"namespace": NAMESPACE, "name": app},
        "spec": with_defaults(values),
    }));
    let mut release = json!({
        "apiVersion": HELM, "kind": "HelmRelease",
        "metadata": {"namespace": NAMESPACE, "name": format!("postgres-{app}")},
        "spec": {"values": with_defaults(values)},
    });
    if suspended {
        release["spec"]["suspend"] = json!(true);
    }
    world.put(release);
}

fn serve_application(world: &mut World, _: Option<&Json>, next: &mut Json) -> Result<(), WriteError> {
    next["spec"] = with_defaults(&next["spec"]);
    let values = next["spec"].clone();
    world.edit(&release(text(next, "/metadata/name")), |release| {
        release["spec"] = json!({"values": values});
        if let Some(metadata) = release["metadata"].as_object_mut() {
            metadata.remove("annotations");
        }
    });
    Ok(())
}

/// The application is a view of the release, so it has a new version as well.
fn serve_release(world: &mut World, _: Option<&Json>, next: &mut Json) -> Result<(), WriteError> {
    let app = text(next, "/metadata/name").trim_start_matches("postgres-").to_owned();
    world.edit(&application(&app), |_| ());
    Ok(())
}

/// What the chart makes of values, or why it refuses them.
pub(crate) fn render(app: &str, values: &Json) -> Result<Vec<Json>, String> {
    let name = format!("postgres-{app}");
    let (bootstrap, backup) = (&values["bootstrap"], &values["backup"]);
    let recovers = bootstrap["enabled"] == true;
    let secret = text(backup, "/s3CredentialsSecret/name");
    let inline = !text(backup, "/s3AccessKey").is_empty();
    if recovers && backup["useSystemBucket"] == true {
        return Err("bootstrap.enabled does not go with backup.useSystemBucket".into());
    }
    if recovers && secret.is_empty() && !inline {
        return Err("bootstrap.enabled needs backup.s3CredentialsSecret.name".into());
    }
    let mut cluster = json!({
        "apiVersion": CNPG, "kind": "Cluster",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {"instances": 1, "storage": {"size": values["size"]}, "bootstrap": {"initdb": {}}},
    });
    let store = |name: &str| {
        let credentials = json!({
            "accessKeyId": {"name": secret, "key": "AWS_ACCESS_KEY_ID"},
            "secretAccessKey": {"name": secret, "key": "AWS_SECRET_ACCESS_KEY"},
        });
        json!({
            "apiVersion": BARMAN, "kind": "ObjectStore",
            "metadata": {"namespace": NAMESPACE, "name": name},
            "spec": {"configuration": {
                "destinationPath": backup["destinationPath"], "endpointURL": backup["endpointURL"],
                "s3Credentials": credentials,
            }},
        })
    };
    let mut manifests = Vec::new();
    if recovers {
        let source = text(bootstrap, "/oldName");
        let server = Some(text(bootstrap, "/serverName")).filter(|s| !s.is_empty()).unwrap_or(source);
        cluster["spec"]["bootstrap"] = json!({"recovery": {"source": source}});
        if !text(bootstrap, "/recoveryTime").is_empty() {
            let target = json!({"targetTime": bootstrap["recoveryTime"]});
            cluster["spec"]["bootstrap"]["recovery"]["recoveryTarget"] = target;
        }
        let parameters = json!({"barmanObjectName": format!("{name}-recovery"), "serverName": server});
        let external = json!([{"name": source, "plugin": {"name": PLUGIN, "parameters": parameters}}]);
        cluster["spec"]["externalClusters"] = external;
        manifests.push(store(&format!("{name}-recovery")));
    }
    let archives = backup["enabled"] == true
        && backup["useSystemBucket"] != true
        && !text(backup, "/destinationPath").is_empty()
        && (inline || !secret.is_empty());
    if archives {
        let parameters = json!({"barmanObjectName": name, "serverName": name});
        cluster["spec"]["plugins"] =
            json!([{"name": PLUGIN, "isWALArchiver": true, "parameters": parameters}]);
        manifests.push(store(&name));
    }
    manifests.push(cluster);
    Ok(manifests)
}
