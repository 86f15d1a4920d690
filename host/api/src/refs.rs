//! References to objects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;
use crate::names::{KIND_LIMIT, NAME_LIMIT};

/// Group of an application whose reference names none.
pub const DEFAULT_APPLICATION_GROUP: &str = "apps.cozystack.io";

/// A reference to an object by group, kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct TypedRef {
    /// API group of the object. For an application, absent or empty means `apps.cozystack.io`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    #[schemars(length(max = NAME_LIMIT))]
    pub api_group: Option<String>,
    /// Kind of the object, exactly as the API server spells it.
    #[serde(deserialize_with = "lenient::name")]
    #[schemars(length(max = KIND_LIMIT))]
    pub kind: String,
    /// Name of the object.
    #[serde(deserialize_with = "lenient::name")]
    #[schemars(length(max = NAME_LIMIT))]
    pub name: String,
}

impl TypedRef {
    /// Returns the group of an application: [`DEFAULT_APPLICATION_GROUP`] if the reference names none.
    #[must_use]
    pub fn group(&self) -> &str {
        application_group(self.api_group.as_deref())
    }

    /// Returns the group as written, empty if absent. For references to strategies, which have no default group.
    #[must_use]
    pub fn written_group(&self) -> &str {
        self.api_group.as_deref().unwrap_or_default()
    }
}

/// Returns the group of an application's `apiGroup`.
pub(crate) fn application_group(written: Option<&str>) -> &str {
    match written {
        None | Some("") => DEFAULT_APPLICATION_GROUP,
        Some(group) => group,
    }
}

/// A reference to an object in the same namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LocalRef {
    /// Name of the object, in the namespace of the object that holds this reference.
    #[serde(default, deserialize_with = "lenient::name")]
    #[schemars(length(max = NAME_LIMIT))]
    pub name: String,
}

impl LocalRef {
    /// Returns a reference to the object of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_empty_group_is_that_of_applications() {
        let mut application = TypedRef { api_group: None, kind: "Redis".into(), name: "cache".into() };
        assert_eq!(application.group(), "apps.cozystack.io");
        application.api_group = Some(String::new());
        assert_eq!(application.group(), "apps.cozystack.io");
        assert_eq!(application.written_group(), "");
        application.api_group = Some("example.org".into());
        assert_eq!(application.group(), "example.org");
    }

    #[test]
    fn a_local_reference_without_a_name_decodes() {
        let reference: LocalRef = serde_json::from_str("{}").unwrap();
        assert_eq!(reference, LocalRef::new(""));
    }
}
