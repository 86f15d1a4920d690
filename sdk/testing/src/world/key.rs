//! The identity of an object in the world.

use backstay_core::contract::ObjectRef;

/// Group and version, kind, namespace (empty for none) and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl From<&ObjectRef> for Key {
    fn from(object: &ObjectRef) -> Self {
        Self {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone().unwrap_or_default(),
            name: object.name.clone(),
        }
    }
}

impl From<&Key> for ObjectRef {
    fn from(key: &Key) -> Self {
        Self {
            api_version: key.api_version.clone(),
            kind: key.kind.clone(),
            namespace: Some(key.namespace.clone()).filter(|n| !n.is_empty()),
            name: key.name.clone(),
        }
    }
}
