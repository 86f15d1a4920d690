//! The metadata of an object: without `managedFields`, and of a watched object only what the controller reads.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use backstay_api::{AnyTime, Cut, annotations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most finalizers of a watched object. A write of finalizers sends all of them, so none may be left out.
const FINALIZERS: usize = 64;
/// Most owners that are kept beside the controlling one.
const OWNERS: usize = 8;
/// Most labels, or annotations, that are kept, and their bytes together.
const MARKS: usize = 64;
const MARKS_BYTES: usize = 8 << 10;
/// Longest of those that are kept before all others.
const FIRST_BYTES: usize = 64 << 10;
/// Domains of the labels and annotations that are kept of a watched object: those that the controller or a tool that it knows
/// writes.
const DOMAINS: &[&str] = &["backstay.dev", "cozystack.io", "velero.io", "batch.kubernetes.io"];
/// Kept before all others, so that no other label takes their place.
const FIRST: &[&str] = &[
    backstay_api::labels::RUN_UID,
    backstay_api::labels::OWNED_BY_NAME,
    backstay_api::labels::OWNED_BY_NAMESPACE,
    backstay_core::job::POD_RUN_ANNOTATION,
    "backstay.dev/proof",
    "backstay.dev/turn",
    annotations::BEGUN,
    annotations::MADE_AT,
    annotations::RECORDED,
    annotations::RUN_AGAIN,
    backstay_api::labels::VELERO_RESTORE,
    "job-name",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/controller-uid",
];
const NAME: usize = backstay_api::bounds::NAME_BYTES;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, bound = "")]
struct Metadata<const WHOLE: bool> {
    annotations: Option<Marks<WHOLE>>,
    creation_timestamp: Option<AnyTime>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<AnyTime>,
    finalizers: Option<Finalizers<WHOLE>>,
    generate_name: Option<Cut<NAME>>,
    generation: Option<i64>,
    labels: Option<Marks<WHOLE>>,
    name: Option<Cut<NAME>>,
    namespace: Option<Cut<NAME>>,
    owner_references: Option<Owners<WHOLE>>,
    resource_version: Option<Cut<NAME>>,
    uid: Option<Cut<NAME>>,
}

impl<const WHOLE: bool> Default for Metadata<WHOLE> {
    fn default() -> Self {
        Self {
            annotations: None,
            creation_timestamp: None,
            deletion_grace_period_seconds: None,
            deletion_timestamp: None,
            finalizers: None,
            generate_name: None,
            generation: None,
            labels: None,
            name: None,
            namespace: None,
            owner_references: None,
            resource_version: None,
            uid: None,
        }
    }
}

/// Decodes metadata.
///
/// # Errors
/// Why it does not decode.
pub(super) fn read<const WHOLE: bool>(text: &str) -> Result<ObjectMeta, String> {
    let read: Metadata<WHOLE> =
        serde_json::from_str(text).map_err(|error| format!("metadata: {}", without_place(&error)))?;
    if read.finalizers.as_ref().is_some_and(|finalizers| !WHOLE && finalizers.0.len() > FINALIZERS) {
        return Err(format!("metadata.finalizers has more than {FINALIZERS} entries"));
    }
    Ok(ObjectMeta {
        annotations: read.annotations.map(|marks| marks.0),
        creation_timestamp: read.creation_timestamp.map(|time| time.0),
        deletion_grace_period_seconds: read.deletion_grace_period_seconds,
        deletion_timestamp: read.deletion_timestamp.map(|time| time.0),
        finalizers: read.finalizers.map(|finalizers| finalizers.0),
        generate_name: read.generate_name.map(|name| name.0),
        generation: read.generation,
        labels: read.labels.map(|marks| marks.0),
        name: read.name.map(|name| name.0),
        namespace: read.namespace.map(|name| name.0),
        owner_references: read.owner_references.map(|owners| owners.0),
        resource_version: read.resource_version.map(|version| version.0),
        uid: read.uid.map(|uid| uid.0),
        managed_fields: None,
        self_link: None,
    })
}

/// Returns what names an object, if nothing else of its metadata decodes.
pub(super) fn names(text: &str) -> ObjectMeta {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Names {
        name: Option<Cut<NAME>>,
        namespace: Option<Cut<NAME>>,
        resource_version: Option<Cut<NAME>>,
        uid: Option<Cut<NAME>>,
    }
    let names: Names = serde_json::from_str(text).unwrap_or_default();
    ObjectMeta {
        name: names.name.map(|name| name.0),
        namespace: names.namespace.map(|name| name.0),
        resource_version: names.resource_version.map(|version| version.0),
        uid: names.uid.map(|uid| uid.0),
        ..ObjectMeta::default()
    }
}

/// Returns an error without line and column: they count from the beginning of a field.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map(str::to_owned).unwrap_or(text)
}

/// Labels or annotations.
struct Marks<const WHOLE: bool>(BTreeMap<String, String>);

struct MarksVisitor<const WHOLE: bool>;

impl<'de, const WHOLE: bool> Deserialize<'de> for Marks<WHOLE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MarksVisitor::<WHOLE>)
    }
}

impl<'de, const WHOLE: bool> Visitor<'de> for MarksVisitor<WHOLE> {
    type Value = Marks<WHOLE>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut marks, mut bytes) = (BTreeMap::new(), 0);
        if WHOLE {
            while let Some((key, value)) = entries.next_entry()? {
                marks.insert(key, value);
            }
            return Ok(Marks(marks));
        }
        while let Some(Cut(key)) = entries.next_key::<Cut<1024>>()? {
            let first = FIRST.contains(&key.as_str());
            let has_room = marks.len() < MARKS && bytes < MARKS_BYTES;
            if !(first || is_kept(&key) && has_room) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            if first {
                marks.insert(key, entries.next_value::<Cut<FIRST_BYTES>>()?.0);
                continue;
            }
            let Cut(value) = entries.next_value::<Cut<MARKS_BYTES>>()?;
            bytes += key.len() + value.len();
            marks.insert(key, value);
        }
        Ok(Marks(marks))
    }
}

fn is_kept(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    DOMAINS.iter().any(|kept| {
        domain.strip_suffix(kept).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

/// Finalizers: one more than there may be says that there are too many.
struct Finalizers<const WHOLE: bool>(Vec<String>);

impl<'de, const WHOLE: bool> Deserialize<'de> for Finalizers<WHOLE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let most = if WHOLE { usize::MAX } else { FINALIZERS + 1 };
        let kept =
            deserializer.deserialize_seq(Kept { most, keep: |_: &Cut<1024>| false, item: PhantomData })?;
        Ok(Self(kept.into_iter().map(|finalizer| finalizer.0).collect()))
    }
}

/// Owners: the controlling one, and some of the others.
struct Owners<const WHOLE: bool>(Vec<OwnerReference>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Owner {
    api_version: Cut<NAME>,
    block_owner_deletion: Option<bool>,
    controller: Option<bool>,
    kind: Cut<NAME>,
    name: Cut<NAME>,
    uid: Cut<NAME>,
}

impl<'de, const WHOLE: bool> Deserialize<'de> for Owners<WHOLE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let most = if WHOLE { usize::MAX } else { OWNERS };
        let controls = |owner: &Owner| owner.controller == Some(true);
        let kept = deserializer.deserialize_seq(Kept { most, keep: controls, item: PhantomData })?;
        Ok(Self(kept.into_iter().map(OwnerReference::from).collect()))
    }
}

impl From<Owner> for OwnerReference {
    fn from(owner: Owner) -> Self {
        Self {
            api_version: owner.api_version.0,
            block_owner_deletion: owner.block_owner_deletion,
            controller: owner.controller,
            kind: owner.kind.0,
            name: owner.name.0,
            uid: owner.uid.0,
        }
    }
}

/// Decodes a list: the first `most` of its items, and those that `keep` selects.
struct Kept<T, F> {
    most: usize,
    keep: F,
    item: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: Fn(&T) -> bool> Visitor<'de> for Kept<T, F> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut kept = Vec::new();
        while let Some(item) = items.next_element()? {
            if kept.len() < self.most || (self.keep)(&item) {
                kept.push(item);
            }
        }
        Ok(kept)
    }
}
