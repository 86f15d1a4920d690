//! Thin code in the place of parts that come from elsewhere.

use serde_json::Value;

use crate::schema::Schema;
use crate::status::Cause;

pub(crate) struct Decoded {
    pub(crate) object: Value,
    pub(crate) faults: Vec<String>,
}

pub(crate) fn decode(text: &[u8], yaml: bool) -> Result<Decoded, String> {
    let object = if yaml {
        serde_saphyr::from_slice(text).map_err(|why| why.to_string())?
    } else {
        serde_json::from_slice(text).map_err(|why| why.to_string())?
    };
    Ok(Decoded { object, faults: Vec::new() })
}

pub(crate) fn unrecognized(kind: &str, words: &str, _body: &[u8]) -> String {
    format!("the object provided is unrecognized (must be of type {kind}): {words}")
}

pub(crate) fn of_crd(raw: &Value) -> Result<Schema, Vec<Cause>> {
    Ok(Schema { raw: raw.clone(), ..Schema::default() })
}

pub(crate) fn builtin(_group: &str, _version: &str, _kind: &str) -> Option<&'static Schema> {
    None
}

pub(crate) fn prune(_schema: &Schema, _object: &mut Value) -> Vec<String> {
    Vec::new()
}

pub(crate) fn default(_schema: &Schema, _object: &mut Value) {}
