//! Which world a component implements, and where its machine code came from.

/// Which of the contract's worlds a component implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum World {
    /// A backup that is one run of a pod: [`crate::Component::render`] and [`crate::Component::parse`].
    Pod,
    /// A backup that is steps on resources: [`crate::Component::step`].
    Resource,
}

impl World {
    /// Its name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod-strategy",
            Self::Resource => "resource-strategy",
        }
    }
}

/// Where the machine code of a component came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// It was compiled.
    Compiled,
    /// It was in the code cache.
    Cache,
}
