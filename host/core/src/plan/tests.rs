mod cluster;
mod crashes;
mod outages;
mod slots;

use jiff::{SignedDuration, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

fn millis(count: i64) -> SignedDuration {
    SignedDuration::from_millis(count)
}
