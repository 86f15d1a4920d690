//! Partial decoding: what is kept of an object that the API server shows.
//!
//! An object is first split into texts, one a field, without recursion and whatever they hold. Then the fields that are read
//! are decoded, under bounds. So one object never keeps the others of its list from being decoded, and what it costs does not
//! depend on what its author wrote (docs/decisions/0016-objects-are-text-first.md).
//!
//! A fourth of an object is `managedFields`, most of a pod or Job is its spec, and a run causes some twenty events. Decoding
//! whole objects was a large part of the controller's CPU time (docs/decisions/0012-one-thread-and-partial-decoding.md).

mod kinds;
mod metadata;

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::marker::PhantomData;

use kube::Resource;
use kube::core::ObjectMeta;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::error::Undecodable;
use metadata::without_place;

/// Longest reason why an object does not decode: a decoder quotes what it refuses.
const REASON: usize = 512;

/// A partly decoded object, or why it does not decode.
#[derive(Clone, Debug)]
pub struct Partial<K>(pub Result<K, Box<Invalid>>);

impl<K> Partial<K> {
    /// Returns the object.
    ///
    /// # Errors
    /// The object does not decode: an error that is final.
    pub fn decoded(self) -> Result<K, kube::Error> {
        self.0.map_err(|invalid| Undecodable(invalid.error).into())
    }
}

/// An object that does not decode.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// Its name, namespace, uid and resource version.
    pub metadata: ObjectMeta,
    /// Why it does not decode.
    pub error: String,
}

/// Which fields of an object are read, beside its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// These fields; and of the metadata what the controller reads.
    Fields(&'static [&'static str]),
    /// All fields, and the whole metadata but `managedFields`.
    Whole,
}

/// A kind that is assembled from decoded parts.
pub trait PartialDecode: Resource + Clone + Debug + Send + Sync + 'static {
    /// What is read.
    const READ: Read;

    /// Assembles the object.
    ///
    /// # Errors
    /// Why a part does not decode, with its name.
    fn assemble(metadata: ObjectMeta, fields: Fields) -> Result<Self, String>;
}

/// The fields of an object, as texts.
pub struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Removes the text of a field.
    fn remove(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Decodes a field; `None` if it is missing or null.
    ///
    /// # Errors
    /// The field does not decode. The error begins with its name.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.remove(name) else { return Ok(None) };
        serde_json::from_str(text.get()).map_err(|error| format!("{name}: {}", without_place(&error)))
    }
}

struct Object<K>(PhantomData<K>);

impl<'de, K: PartialDecode> Visitor<'de> for Object<K> {
    type Value = Partial<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Partial<K>, A::Error> {
        let (mut metadata, mut fields) = (None::<Box<RawValue>>, Vec::new());
        while let Some(key) = entries.next_key::<String>()? {
            let wanted = match K::READ {
                Read::Fields(wanted) => wanted.contains(&key.as_str()),
                Read::Whole => true,
            };
            if key == "metadata" {
                metadata = Some(entries.next_value()?);
            } else if wanted {
                fields.push((key, entries.next_value()?));
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(assemble(metadata.as_deref(), Fields(fields)))
    }
}

fn assemble<K: PartialDecode>(metadata: Option<&RawValue>, fields: Fields) -> Partial<K> {
    let text = metadata.map_or("{}", RawValue::get);
    let read = match K::READ {
        Read::Fields(_) => metadata::read::<false>(text),
        Read::Whole => metadata::read::<true>(text),
    };
    let assembled = read.and_then(|metadata| K::assemble(metadata, fields));
    Partial(assembled.map_err(|mut error| {
        error.truncate(error.floor_char_boundary(REASON));
        Box::new(Invalid { metadata: metadata::names(text), error })
    }))
}

impl<'de, K: PartialDecode> Deserialize<'de> for Partial<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object(PhantomData))
    }
}

impl<K: Serialize> Serialize for Partial<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(object) => object.serialize(serializer),
            Err(invalid) => Err(serde::ser::Error::custom(&invalid.error)),
        }
    }
}

impl<K: Resource> Resource for Partial<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

#[cfg(test)]
mod tests;
