//! Bounds of what a run takes from objects that others write, checked before anything is copied (docs/limits.md).

use std::collections::BTreeMap;

use backstay_api::bounds::{
    FREE_FORM_BYTES, FREE_FORM_LEVELS, FREE_FORM_VALUES, NAME_BYTES, PAIRS_BYTES, PAIRS_ENTRIES,
    UNDERLYING_RESOURCES_LEVELS,
};
use backstay_api::{Backup, BackupJobSpec, FreeForm, RestoreJobSpec, TypedRef};

use crate::contract::Json;
use crate::json::{Budget, parse};

/// A field that is beyond its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}; make it smaller, and create the object anew")]
pub struct BeyondBounds {
    /// The object and its field, such as `spec.options`.
    pub field: String,
    /// What it has, and what it may have.
    pub why: String,
}

fn beyond<T>(field: &str, why: impl Into<String>) -> Result<T, BeyondBounds> {
    Err(BeyondBounds { field: field.to_owned(), why: why.into() })
}

/// Checks a name.
///
/// # Errors
/// It is longer than any name.
pub fn name(field: &str, text: &str) -> Result<(), BeyondBounds> {
    if text.len() <= NAME_BYTES {
        return Ok(());
    }
    beyond(field, format!("is longer than {NAME_BYTES} bytes"))
}

fn typed(field: &str, reference: &TypedRef) -> Result<(), BeyondBounds> {
    name(&format!("{field}.apiGroup"), reference.written_group())?;
    name(&format!("{field}.kind"), &reference.kind)?;
    name(&format!("{field}.name"), &reference.name)
}

/// Checks parameters.
///
/// # Errors
/// They are beyond the bounds.
pub fn pairs(field: &str, pairs: &BTreeMap<String, String>) -> Result<(), BeyondBounds> {
    if pairs.len() > PAIRS_ENTRIES {
        return beyond(field, format!("has more than {PAIRS_ENTRIES} entries"));
    }
    if pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > PAIRS_BYTES {
        return beyond(field, format!("has more than {PAIRS_BYTES} bytes"));
    }
    Ok(())
}

/// Returns the value of `options`.
///
/// # Errors
/// They are beyond the bounds.
pub fn options(field: &str, options: Option<&FreeForm>) -> Result<Option<Json>, BeyondBounds> {
    const { assert!(FREE_FORM_VALUES <= FREE_FORM_BYTES) };
    options.map(|options| free_form(field, options, FREE_FORM_LEVELS)).transpose()
}

fn free_form<const BYTES: usize, const LEVELS: usize>(
    field: &str,
    written: &FreeForm<BYTES, LEVELS>,
    levels: usize,
) -> Result<Json, BeyondBounds> {
    let text = match written.text() {
        Ok(text) => text,
        Err(why) => return beyond(field, why.to_string()),
    };
    let mut budget = Budget { values: FREE_FORM_VALUES, levels };
    match parse(text, &mut budget) {
        Ok(value) => Ok(value),
        Err(_) if budget.values == 0 => beyond(field, format!("has more than {FREE_FORM_VALUES} values")),
        Err(error) => beyond(field, format!("cannot be read: {error}")),
    }
}

/// Checks the spec of a BackupJob.
///
/// # Errors
/// A field is beyond its bounds.
pub fn backup_job(spec: &BackupJobSpec) -> Result<(), BeyondBounds> {
    typed("spec.applicationRef", &spec.application_ref)?;
    name("spec.backupClassName", &spec.backup_class_name)?;
    name("spec.planRef.name", spec.plan_ref.as_ref().map_or("", |plan| &plan.name))
}

/// Checks the spec of a RestoreJob.
///
/// # Errors
/// A field is beyond its bounds.
pub fn restore_job(spec: &RestoreJobSpec) -> Result<(), BeyondBounds> {
    name("spec.backupRef.name", &spec.backup_ref.name)?;
    if let Some(target) = &spec.target_application_ref {
        typed("spec.targetApplicationRef", target)?;
    }
    options("spec.options", spec.options.as_ref()).map(drop)
}

/// Checks a Backup, as a run reads it.
///
/// # Errors
/// A field is beyond its bounds.
pub fn backup(backup: &Backup) -> Result<(), BeyondBounds> {
    let of =
        |field: &str| format!("{field} of Backup {:?}", backup.metadata.name.as_deref().unwrap_or_default());
    let spec = &backup.spec;
    typed(&of("spec.applicationRef"), &spec.application_ref)?;
    typed(&of("spec.strategyRef"), &spec.strategy_ref)?;
    if let Some(metadata) = &spec.driver_metadata {
        pairs(&of("spec.driverMetadata"), metadata)?;
    }
    underlying_resources(backup).map(drop)
}

/// Returns the value of `status.underlyingResources` of a Backup.
///
/// # Errors
/// It is beyond the bounds.
pub fn underlying_resources(backup: &Backup) -> Result<Option<Json>, BeyondBounds> {
    let field = || {
        format!(
            "status.underlyingResources of Backup {:?}",
            backup.metadata.name.as_deref().unwrap_or_default()
        )
    };
    let written = backup.status.as_ref().and_then(|status| status.underlying_resources.as_ref());
    written.map(|written| free_form(&field(), written, UNDERLYING_RESOURCES_LEVELS)).transpose()
}

#[cfg(test)]
mod tests {
    use backstay_api::LocalRef;
    use serde_json::json;

    use super::*;

    fn restore(spec: Json) -> String {
        let spec: RestoreJobSpec = serde_json::from_value(spec).expect("it decodes");
        restore_job(&spec).map_or_else(|beyond| beyond.to_string(), |()| "fits".to_owned())
    }

    #[test]
    fn t12_every_field_that_a_run_copies_is_bounded_and_the_message_names_field_and_bound() {
        let long = "x".repeat(1 << 20);
        let of = |extra: Json| {
            let mut spec = json!({"backupRef": {"name": "b"}});
            spec.as_object_mut().expect("a map").extend(extra.as_object().cloned().expect("a map"));
            restore(spec)
        };
        let remedy = "; make it smaller, and create the object anew";
        let nested = (0..33).fold(json!(1), |inner, _| json!({ "a": inner }));
        for (extra, says) in [
            (json!({}), "fits"),
            (json!({"options": {"a": "x".repeat(60_000)}}), "fits"),
            (json!({"backupRef": {"name": long}}), "spec.backupRef.name is longer than 253 bytes"),
            (
                json!({"targetApplicationRef": {"kind": long, "name": "a"}}),
                "spec.targetApplicationRef.kind is longer than 253 bytes",
            ),
            (json!({"options": {"a": long}}), "spec.options has 1048584 bytes, and may have 65536"),
            (json!({ "options": nested }), "spec.options is nested more than 32 levels deep"),
            (json!({"options": vec![0; 10_000]}), "spec.options has more than 10000 values"),
        ] {
            let told = of(extra);
            assert_eq!(told.trim_end_matches(remedy), says);
        }
        let spec = BackupJobSpec {
            plan_ref: Some(LocalRef::new("x".repeat(300))),
            backup_class_name: "c".to_owned(),
            ..BackupJobSpec::default()
        };
        assert_eq!(backup_job(&spec).unwrap_err().field, "spec.planRef.name");
    }

    #[test]
    fn t12_parameters_are_bounded_by_entries_and_bytes() {
        let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
        assert!(pairs("p", &many).unwrap_err().why.contains("64 entries"));
        let large = [("a".to_owned(), "x".repeat(65_536))].into();
        assert!(pairs("p", &large).unwrap_err().why.contains("65536 bytes"));
        assert_eq!(pairs("p", &[("a".to_owned(), "b".to_owned())].into()), Ok(()));
    }
}
