//! Applications with more than one shard: the client reaches only the sidecar of the first shard.

use backstay_sdk::Value;
use backstay_sdk::prelude::*;

use crate::spec::{AltinitySpec, Shards};

/// Tells whether the archive has the data of every shard.
const ALL_SHARDS: &str = "AllShards";

/// Returns the number of an application's shards; one if it does not say.
pub(crate) fn of(application: Option<&Value>) -> u64 {
    let shards = application.map_or(&Value::Null, |a| &a["spec"]["shards"]);
    // A number written as text or as a fraction is read too: a wrong count could lose data.
    let read = shards.as_u64().or_else(|| shards.as_str()?.trim().parse().ok());
    read.or_else(|| shards.as_f64().map(|n| n.ceil() as u64)).unwrap_or(1)
}

/// Refuses an application with several shards, or returns a warning, as the strategy says.
///
/// # Errors
/// `ShardsNotCovered`.
pub(crate) fn judge(request: &Request<AltinitySpec>, shards: u64) -> Result<Option<Finding>, Failure> {
    if shards <= 1 {
        return Ok(None);
    }
    let (name, spec) = (&request.application.name, request.spec()?);
    let doing = match request.mode {
        Mode::Backup => "saved",
        Mode::Restore | Mode::Cleanup => "restored",
    };
    let message = format!(
        "ClickHouse {name} has {shards} shards (spec.shards), and only the first is {doing}: the sidecar of the first \
         shard knows no other"
    );
    match spec.shards {
        Shards::Report => Ok(Some(Finding::warning("/strategy/shards", message))),
        Shards::Refuse => Err(Failure::new(
            "ShardsNotCovered",
            format!("{message}; take another way of backing it up, or set shards: report in the strategy"),
        )),
    }
}

/// Returns the Backup's condition about missing shards, if there are several.
pub(crate) fn condition(shards: u64) -> Option<Condition> {
    (shards > 1).then(|| Condition {
        type_: ALL_SHARDS.to_owned(),
        status: Some(false),
        reason: "FirstShardOnly".to_owned(),
        message: format!("the archive has the data of shard 0 alone; the application has {shards} shards"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_sdk::json;

    #[test]
    fn shards_are_counted_however_they_are_written() {
        for (shards, count) in [
            (json!(1), 1),
            (json!(2), 2),
            (json!("3"), 3),
            (json!(1.5), 2),
            (Value::Null, 1),
            (json!("x"), 1),
        ] {
            assert_eq!(of(Some(&json!({"spec": {"shards": shards}}))), count, "{shards}");
        }
        assert_eq!(of(None), 1);
    }
}
