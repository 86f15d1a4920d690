//! From a core module to a component.

use wit_component::ComponentEncoder;

/// Why a module is no component of a strategy.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// Nothing in it says which world it implements.
    #[error("the module exports no world; name the strategy in `export_pod!` or `export_resource!`")]
    NotAStrategy,
    /// It does not fit the world that it says it implements.
    #[error("the module cannot be made a component; it must import nothing but what the SDK imports")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ComponentError {
    /// The reason, for reports.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAStrategy => "NotAStrategy",
            Self::Encode(_) => "NotAComponent",
        }
    }
}

/// The component that `module` makes: a core module with the description of its world, as the SDK's export macros leave
/// one. Equal input gives equal output, byte for byte.
///
/// # Errors
/// The module describes no world, lacks one of the functions that its world promises, or imports something else than
/// its world does.
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
