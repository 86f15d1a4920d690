//! From a core module to a component.

use wit_component::ComponentEncoder;

/// Why a module is no component.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a component of the module; does the crate call `export_pod!` or `export_resource!`")]
pub struct ComponentError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl ComponentError {
    /// The reason, for reports.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "NotAStrategy"
    }
}

/// The component that `module` makes: a core module with the description of its world, as the SDK's export macros leave
/// one. Equal input gives equal output, byte for byte.
///
/// # Errors
/// The module has no such description, lacks one of the functions that it promises, or imports another function than
/// the contract has.
pub fn component_bytes(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let encode = || ComponentEncoder::default().module(module)?.validate(true).encode();
    encode().map_err(|e| ComponentError(e.into()))
}
