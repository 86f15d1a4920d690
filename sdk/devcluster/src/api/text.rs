//! The JSON of stored objects, written once for all who get it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

use crate::schema::go;

/// The longest text that is kept, in bytes.
const LONGEST: usize = 32 << 10;

/// The JSON of an object, kept with it from when it is first asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(Arc<OnceLock<Bytes>>);

impl Text {
    /// Returns the JSON of the object, which is always the same one.
    pub(crate) fn of(&self, object: &Value) -> Bytes {
        if let Some(text) = self.0.get() {
            return text.clone();
        }
        let text = Bytes::from(go::body(object));
        if text.len() <= LONGEST {
            // Another one who has been faster has set the same.
            let _ = self.0.set(text.clone());
        }
        text
    }
}
