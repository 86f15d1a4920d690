//! The world of a component, and the origin of its machine code.

/// The worlds of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum World {
    /// A backup is one run of a pod: [`crate::Component::render`] and [`crate::Component::parse`].
    Pod,
    /// A backup is a sequence of steps on resources: [`crate::Component::step`].
    Resource,
}

impl World {
    /// Returns its name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod-strategy",
            Self::Resource => "resource-strategy",
        }
    }
}

/// The origin of a component's machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// Compiled at load.
    Compiled,
    /// Taken from the code cache.
    Cache,
}
