//! The checkpoint of a run, kept between its steps.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

/// The state that a strategy keeps between steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// A stage of the descriptor.
    pub stage: String,
    /// JSON of any schema, at most 256 KiB.
    pub data: Value,
}

impl Checkpoint {
    /// Decodes the data as `T`.
    ///
    /// # Errors
    /// `InvalidCheckpoint`: another version of the component wrote it with a different type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        // Naming the field takes twice as long as decoding, so the field is looked for only after an error.
        if let Ok(decoded) = T::deserialize(&self.data) {
            return Ok(decoded);
        }
        serde_path_to_error::deserialize(&self.data).map_err(|e| {
            Failure::new(
                "InvalidCheckpoint",
                format!("the checkpoint of stage {} does not decode: {e}; begin a new run", self.stage),
            )
        })
    }
}
