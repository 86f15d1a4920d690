//! Objects that watches show and that do not decode.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use crate::cluster::partial::Invalid;
use crate::context::Context;

/// Reports an object of a kind that does not decode.
pub(super) fn report<K: Resource>(of: &K::DynamicType, invalid: &Invalid, ctx: &Context) {
    let about = ObjectReference {
        api_version: Some(K::api_version(of).into_owned()),
        kind: Some(K::kind(of).into_owned()),
        namespace: invalid.metadata.namespace.clone(),
        name: invalid.metadata.name.clone(),
        uid: invalid.metadata.uid.clone(),
        ..ObjectReference::default()
    };
    ctx.report_unreadable(about, &invalid.error);
}
