//! Built-in kinds: their schemas, defaults and checks.
