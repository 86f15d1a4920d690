//! From a core module to a component.

use wit_component::ComponentEncoder;

/// Why a module cannot be made a component of a strategy.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It does not say which world it implements.
    #[error("the module exports no world; name the strategy in `export_pod!` or `export_resource!`")]
    NotAStrategy,
    /// It does not match the world that it declares.
    #[error("the module cannot be made a component; it must import nothing but what the SDK imports")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ComponentError {
    /// Returns the reason, for reports.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAStrategy => "NotAStrategy",
            Self::Encode(_) => "NotAComponent",
        }
    }
}

/// Makes a component of a core module that describes its world, as the SDK's export macros do. Equal input gives equal
/// output, byte for byte.
///
/// # Errors
/// The module describes no world, lacks a function of its world, or imports something that its world does not have.
pub fn component_bytes(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let encoded = || {
        let (_, described) = wit_component::metadata::decode(module)?;
        let exports = described.resolve.worlds[described.world].exports.len();
        let component = ComponentEncoder::default().module(module)?.validate(true).encode()?;
        Ok((exports, component))
    };
    match encoded().map_err(ComponentError::Encode)? {
        (0, _) => Err(ComponentError::NotAStrategy),
        (_, component) => Ok(component),
    }
}
