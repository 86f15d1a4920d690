//! The name under which this program writes: the API server keeps it beside each field.

use kube::api::PatchParams;

/// The field manager.
pub(crate) const NAME: &str = "backstay";

/// Parameters of a patch that is ours.
pub(crate) fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(NAME.to_owned()), ..PatchParams::default() }
}
