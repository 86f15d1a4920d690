//! What a run has reached, kept between its steps.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

/// What a strategy wants to remember.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// A stage of the descriptor.
    pub stage: String,
    /// Any schema, at most 256 KiB.
    pub data: Value,
}

impl Checkpoint {
    /// The data as `T`.
    ///
    /// # Errors
    /// `InvalidCheckpoint`: it was written by a version of the component that had another type for it.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_path_to_error::deserialize(&self.data).map_err(|e| {
            Failure::new(
                "InvalidCheckpoint",
                format!("the checkpoint of stage {} does not decode: {e}; begin a new run", self.stage),
            )
        })
    }
}
