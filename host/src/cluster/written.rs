//! When a field was last written, by `managedFields`. They are read here and nowhere else, and leniently: whoever may update
//! an object may write any time into them.

use backstay_api::AnyTime;
use jiff::Timestamp;
use kube::api::GetParams;
use kube::core::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::api::Api;
use super::partial::PartialDecode;

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    managed_fields: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    time: Option<Box<RawValue>>,
    fields_v1: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:spec")]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "f:schedule")]
    schedule: Option<IgnoredAny>,
}

/// Returns when `spec.schedule` of an object was last written; `None` if that is not known.
///
/// # Errors
/// The API server's.
pub(crate) async fn schedule_written<K: PartialDecode>(
    api: &Api<K>,
    name: &str,
) -> Result<Option<Timestamp>, kube::Error> {
    let request = Request::new(api.resource_url()).get(name, &GetParams::default());
    let object: Object = api.client().request(request.map_err(kube::Error::BuildRequest)?).await?;
    Ok(newest(&object))
}

fn newest(object: &Object) -> Option<Timestamp> {
    fn read<'a, T: Deserialize<'a>>(text: Option<&'a RawValue>) -> Option<T> {
        serde_json::from_str(text?.get()).ok()
    }
    let holds_schedule = |entry: &&Entry| {
        read::<Fields>(entry.fields_v1.as_deref()).is_some_and(|fields| fields.spec.schedule.is_some())
    };
    let entries = object.metadata.managed_fields.iter().filter(holds_schedule);
    entries.filter_map(|entry| read::<AnyTime>(entry.time.as_deref()).map(|time| time.0.0)).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn t19_the_newest_write_of_the_schedule_counts_and_what_is_no_time_does_not() {
        let schedule = json!({"f:spec": {"f:schedule": {"f:cron": {}}}});
        let entry = |time: serde_json::Value| json!({"manager": "m", "time": time, "fieldsV1": schedule});
        let read = |entries: serde_json::Value| {
            let object = json!({"metadata": {"managedFields": entries}});
            newest(&serde_json::from_value(object).expect("an object")).map(|time| time.to_string())
        };
        let other = json!({"time": "2027-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:suspend": {}}}});
        assert_eq!(
            read(json!([entry(json!("2026-01-01T00:00:00Z")), entry(json!("2026-02-01T00:00:00Z")), other])),
            Some("2026-02-01T00:00:00Z".to_owned())
        );
        assert_eq!(
            read(json!([entry(json!("2026-01-01T00:00:00Z")), entry(json!("soon")), {"fieldsV1": 7}])),
            Some("2026-01-01T00:00:00Z".to_owned())
        );
        assert!(read(json!([entry(json!("9999-12-31T23:59:59Z"))])).is_some());
        assert_eq!(read(json!([])), None);
    }
}
