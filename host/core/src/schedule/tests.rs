mod dialect;
mod dst;
mod oracle;

use jiff::Timestamp;

use super::Schedule;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first activations after an instant; `@every` counts from that instant.
fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let anchor = at(after);
    let following = |last: &Timestamp| schedule.next_after(*last, anchor);
    let slots = std::iter::successors(schedule.next_after(anchor, anchor), following);
    slots.take(count).map(|slot| slot.to_string()).collect()
}
