//! Decoding of what the API server admits and a typed field would refuse: texts of any length, and times that only look like
//! one.
//!
//! One value must not make its object unreadable: a text is cut behind its bound, and a time that is out of range is the
//! nearest one that is in range.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::bounds::{CONDITIONS, CRON_BYTES, MESSAGE_BYTES, NAME_BYTES, PAIRS_BYTES, PAIRS_ENTRIES, cut};

/// A text that is cut behind a bound.
#[derive(Clone, Debug, Default)]
pub struct Cut<const BOUND: usize>(pub String);

impl<'de, const BOUND: usize> Deserialize<'de> for Cut<BOUND> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CutVisitor::<BOUND>)
    }
}

struct CutVisitor<const BOUND: usize>;

impl<const BOUND: usize> Visitor<'_> for CutVisitor<BOUND> {
    type Value = Cut<BOUND>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cut(cut(text, BOUND).to_owned()))
    }
}

fn text<'de, D: Deserializer<'de>, const BOUND: usize>(deserializer: D) -> Result<String, D::Error> {
    Cut::<BOUND>::deserialize(deserializer).map(|text| text.0)
}

fn opt_text<'de, D: Deserializer<'de>, const BOUND: usize>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Option::<Cut<BOUND>>::deserialize(deserializer).map(|text| text.map(|text| text.0))
}

pub(crate) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text::<_, NAME_BYTES>(deserializer)
}

pub(crate) fn opt_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    opt_text::<_, NAME_BYTES>(deserializer)
}

pub(crate) fn opt_cron<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    opt_text::<_, CRON_BYTES>(deserializer)
}

pub(crate) fn message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text::<_, MESSAGE_BYTES>(deserializer)
}

pub(crate) fn opt_message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    opt_text::<_, MESSAGE_BYTES>(deserializer)
}

/// A time as the API server admits it: the nearest one that is in range.
#[derive(Clone, Debug)]
pub struct AnyTime(pub Time);

impl<'de> Deserialize<'de> for AnyTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Cut(written) = Cut::<NAME_BYTES>::deserialize(deserializer)?;
        match written.parse::<Timestamp>() {
            Ok(time) => Ok(Self(Time(time))),
            Err(error) => {
                nearest(&written).map(|time| Self(Time(time))).ok_or_else(|| D::Error::custom(error))
            }
        }
    }
}

/// Returns the time that is nearest to what a text of the API server's format `date-time` says. It admits the whole year 9999,
/// any number of digits behind the second, and offsets of 99 hours.
pub(crate) fn nearest(written: &str) -> Option<Timestamp> {
    let civil: DateTime = written.get(..19)?.parse().ok()?;
    let offset = written.get(written.len().checked_sub(6)?..).and_then(offset).unwrap_or_default();
    // Whatever stands before the digits, unless it begins the offset.
    let behind = Some(&written[19..]).filter(|text| !text.starts_with(['+', '-'])).unwrap_or_default();
    let digits: String = behind.chars().skip(1).take_while(char::is_ascii_digit).take(9).collect();
    let fraction = format!("{digits:0<9}").parse().unwrap_or_default();
    // UTC has no gaps: what is not a time there is out of range.
    let at = civil.to_zoned(TimeZone::UTC).map(|time| time.timestamp());
    let at = at.and_then(|at| at.checked_add(SignedDuration::new(0, fraction)));
    let at = at.and_then(|at| at.checked_sub(SignedDuration::from_secs(offset)));
    Some(at.unwrap_or(if civil.year() > 0 { Timestamp::MAX } else { Timestamp::MIN }))
}

/// Returns the seconds of an offset such as `+02:00`.
fn offset(written: &str) -> Option<i64> {
    let (hours, minutes) = written.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let sign = if written.starts_with('-') { -1 } else { 1 };
    written.starts_with(['+', '-']).then_some(hours * 3600 + sign * minutes * 60)
}

pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    AnyTime::deserialize(deserializer).map(|time| time.0)
}

pub(crate) fn opt_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    Option::<AnyTime>::deserialize(deserializer).map(|time| time.map(|time| time.0))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AnyCondition {
    #[serde(rename = "type")]
    type_: Cut<NAME_BYTES>,
    status: Cut<NAME_BYTES>,
    reason: Cut<MESSAGE_BYTES>,
    message: Cut<MESSAGE_BYTES>,
    observed_generation: Option<i64>,
    last_transition_time: AnyTime,
}

impl Default for AnyCondition {
    fn default() -> Self {
        Self {
            type_: Cut::default(),
            status: Cut::default(),
            reason: Cut::default(),
            message: Cut::default(),
            observed_generation: None,
            last_transition_time: AnyTime(Time(Timestamp::UNIX_EPOCH)),
        }
    }
}

impl<'de> Deserialize<'de> for Lenient<Condition> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = AnyCondition::deserialize(deserializer)?;
        Ok(Self(Condition {
            type_: written.type_.0,
            status: written.status.0,
            reason: written.reason.0,
            message: written.message.0,
            observed_generation: written.observed_generation,
            last_transition_time: written.last_transition_time.0,
        }))
    }
}

struct Lenient<T>(T);

/// Decodes the first entries of a list, and skips the rest.
struct First<T>(usize, PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for First<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut first = Vec::new();
        while first.len() < self.0 {
            match items.next_element()? {
                Some(item) => first.push(item),
                None => return Ok(first),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }
}

pub(crate) fn conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    let first = First::<Lenient<Condition>>(CONDITIONS, PhantomData).deserialize(deserializer)?;
    Ok(first.into_iter().map(|condition| condition.0).collect())
}

/// Decodes as many entries of a list as a status may have of recent outcomes.
pub(crate) fn recent<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    First::<T>(crate::RECENT_SLOTS, PhantomData).deserialize(deserializer)
}

/// Decodes parameters: what is beyond the bounds is left out, but for one entry more than there may be, or one byte.
pub(crate) fn opt_pairs<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    Option::<Pairs>::deserialize(deserializer).map(|pairs| pairs.map(|pairs| pairs.0))
}

struct Pairs(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Pairs, A::Error> {
        let (mut pairs, mut bytes) = (BTreeMap::new(), 0);
        while pairs.len() <= PAIRS_ENTRIES && bytes <= PAIRS_BYTES {
            let Some(Cut(key)) = entries.next_key::<Cut<PAIRS_BYTES>>()? else { return Ok(Pairs(pairs)) };
            let Cut(value) = entries.next_value::<Cut<PAIRS_BYTES>>()?;
            bytes += key.len() + value.len();
            pairs.insert(key, value);
        }
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(written: &str) -> String {
        let AnyTime(time) = serde_json::from_value(json!(written)).expect(written);
        time.0.to_string()
    }

    #[test]
    fn every_time_that_the_api_server_admits_decodes() {
        for (written, time) in [
            ("2026-03-04T10:15:00Z", "2026-03-04T10:15:00Z"),
            ("2026-03-04t10:15:00z", "2026-03-04T10:15:00Z"),
            ("2026-03-04T10:15:00.123456+02:00", "2026-03-04T08:15:00.123456Z"),
            ("2026-03-04T10:15:00.1234567891+02:00", "2026-03-04T08:15:00.123456789Z"),
            ("2026-03-04T10:15:00,5Z", "2026-03-04T10:15:00.5Z"),
            ("2026-03-04T10:15:00x5Z", "2026-03-04T10:15:00.5Z"),
            ("2026-03-04T10:15:00+99:30", "2026-02-28T06:45:00Z"),
            ("2026-03-04T10:15:00-99:30", "2026-03-08T13:45:00Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("9999-12-31T00:00:00Z", "9999-12-30T22:00:00.999999999Z"),
            ("9999-12-31T23:59:59.9999999999-23:59", "9999-12-30T22:00:00.999999999Z"),
        ] {
            assert_eq!(read(written), time, "{written}");
        }
        for written in ["", "soon", "2026-13-01T00:00:00Z", "2026-03-04"] {
            assert!(serde_json::from_value::<AnyTime>(json!(written)).is_err(), "{written}");
        }
    }

    #[test]
    fn parameters_beyond_the_bounds_stay_beyond_them_and_little_is_kept() {
        let read = |value| opt_pairs(value).expect("they decode").expect("there are some");
        let many: BTreeMap<String, String> =
            (0..100_000).map(|n| (format!("{n:06}"), String::new())).collect();
        assert_eq!(read(json!(many)).len(), PAIRS_ENTRIES + 1);
        let long = read(json!({"a": "x".repeat(1 << 20), "b": "c"}));
        assert_eq!(long["a"].len(), PAIRS_BYTES + 1);
        assert_eq!(read(json!({"a": "b"})), [("a".to_owned(), "b".to_owned())].into());
    }

    #[test]
    fn conditions_decode_whatever_their_time_and_only_so_many_are_kept() {
        let written = json!([{"type": "Ready", "status": "True", "reason": "R", "message": "m",
            "lastTransitionTime": "9999-12-31T00:00:00Z"}]);
        let read = conditions(written).expect("they decode");
        assert_eq!((read[0].type_.as_str(), read[0].last_transition_time.0), ("Ready", Timestamp::MAX));
        assert_eq!(conditions(json!(vec![json!({}); 1000])).expect("they decode").len(), CONDITIONS);
    }
}
