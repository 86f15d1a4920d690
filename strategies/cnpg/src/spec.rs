//! The spec of a CNPG strategy.

use backstay_sdk::template::Dialect;
use backstay_sdk::{Deserialize, JsonSchema, Serialize};

/// How to archive a PostgreSQL of CloudNativePG.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct CnpgSpec {
    /// Where and how to archive. Every string value in it is a template over `.Application`, `.Parameters`, `.Release`
    /// and `.Mode`; one that prints `<no value>` refuses the run.
    pub template: Template,
    /// The language of the templates.
    #[serde(default)]
    pub dialect: Dialect,
}

/// Where and how to archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct Template {
    /// Name of the server in the archive, for a cluster that is not archived yet; by default the name of the Cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The archive.
    pub barman_object_store: ObjectStore,
}

/// An archive in an object store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct ObjectStore {
    /// Where, such as `s3://bucket/folder/`.
    #[schemars(length(min = 1))]
    pub destination_path: String,
    /// The address of the object store, with its scheme; none is that of AWS.
    #[serde(default, rename = "endpointURL", skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The certificate authority of the object store.
    #[serde(default, rename = "endpointCA", skip_serializing_if = "Option::is_none")]
    pub endpoint_ca: Option<EndpointCa>,
    /// The keys to the object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_credentials: Option<S3Credentials>,
    /// How long the archive keeps what can be recovered, such as `30d`; none keeps it for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_policy: Option<String>,
    /// How write-ahead logs are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal: Option<Wal>,
    /// How base backups are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
}

/// A Secret in the application's namespace that holds a certificate authority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct EndpointCa {
    /// The Secret; without a name there is no authority.
    pub secret_ref: SecretRef,
    /// Its key, `ca.crt` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A Secret in the application's namespace that holds access keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct S3Credentials {
    /// The Secret.
    pub secret_ref: SecretRef,
    /// Its key with the access key's id, `AWS_ACCESS_KEY_ID` by default.
    #[serde(default, rename = "accessKeyIDKey", skip_serializing_if = "Option::is_none")]
    pub access_key_id_key: Option<String>,
    /// Its key with the secret access key, `AWS_SECRET_ACCESS_KEY` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key_key: Option<String>,
}

/// A Secret by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct SecretRef {
    /// Name of the Secret.
    #[serde(default)]
    pub name: String,
}

/// How write-ahead logs are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct Wal {
    /// Compression, as the plugin names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// Encryption, as the plugin names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
}

/// How base backups are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct Data {
    /// Compression, as the plugin names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// Encryption, as the plugin names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// How many parts are written at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<i32>,
}
