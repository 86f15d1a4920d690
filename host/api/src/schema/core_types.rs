//! Schemas of the `core/v1` types that a strategy's schema may refer to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{markers, pod, prose};

/// Schemas by the names of their types, such as `io.k8s.api.core.v1.PodSpec`. They refer to each other by `$ref`.
pub(super) type Definitions = BTreeMap<String, Value>;

/// Returns the schemas of all types in a pod template, with the markers and defaults that the published ones lack.
pub(super) fn definitions() -> Definitions {
    let mut settings = SchemaSettings::openapi3();
    // No transforms: they would wrap references that have a description of their own.
    settings.transforms.clear();
    let mut generator = settings.into_generator();
    generator.subschema_for::<PodTemplateSpec>();
    let mut definitions: Definitions = generator.take_definitions(false).into_iter().collect();
    for (name, schema) in &mut definitions {
        pod::adapt(name, schema);
        markers::apply(name, schema);
        prose::shorten(schema);
    }
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_that_authors_refer_to_are_there() {
        let definitions = definitions();
        for kind in [
            "PodTemplateSpec",
            "PodSpec",
            "Container",
            "EnvVar",
            "EnvVarSource",
            "ResourceRequirements",
            "Volume",
            "VolumeMount",
            "SecretKeySelector",
            "LocalObjectReference",
            "Affinity",
            "Toleration",
            "PodSecurityContext",
        ] {
            assert!(definitions.contains_key(&format!("io.k8s.api.core.v1.{kind}")), "{kind}");
        }
    }
}
