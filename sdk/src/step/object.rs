//! An object of an answer.

use std::cell::OnceCell;
use std::fmt;
use std::ops::Deref;

use backstay_sdk_rt::json;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// An object as the host read it. It is used as a [`Value`]; its text is read when that is first looked at. Where few fields are
/// needed of a large object, [`Object::decode`] reads them in a fraction of the time.
#[derive(Clone)]
pub struct Object(OnceCell<Value>, String);

impl Object {
    /// An object whose text is read later. The host passes JSON where the contract says `json`.
    pub(crate) fn unread(text: String) -> Self {
        Self(OnceCell::new(), text)
    }

    /// Returns the object.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.0.get_or_init(|| {
            json::parse(&self.1).expect("the host passes JSON where the contract says `json`")
        })
    }

    /// Decodes those fields of the object that `T` has.
    ///
    /// # Errors
    /// A field is missing or of another type.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        match self.0.get() {
            Some(value) => T::deserialize(value),
            None => serde_json::from_str(&self.1),
        }
    }
}

impl Deref for Object {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value()
    }
}

impl From<Value> for Object {
    fn from(value: Value) -> Self {
        Self(value.into(), String::new())
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(to)
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Named {
        name: String,
    }

    #[test]
    fn an_object_is_its_value_whether_its_text_has_been_read_or_not() {
        let value = json!({"name": "a", "more": [1, {"b": null}]});
        let [unread, known] = [Object::unread(value.to_string()), Object::from(value.clone())];
        let named = Named { name: "a".to_owned() };
        assert_eq!(unread.decode::<Named>().expect("it has a name"), named);
        assert_eq!(known.decode::<Named>().expect("it has a name"), named);
        assert_eq!(
            (unread["more"].clone(), &unread, unread.value()),
            (json!([1, {"b": null}]), &known, &value)
        );
        assert_eq!(unread.decode::<Named>().expect("it has a name"), named);
        assert!(Object::from(json!({})).decode::<Named>().is_err());
    }
}
