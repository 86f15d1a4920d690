//! The table of all sides.

use std::fmt::Write as _;

use crate::figures::{Cost, Subject};

/// Lays out the subjects of all sides, those of a name below each other, with the ratios to the side `here`.
pub(crate) fn of(sides: &[(&str, Vec<Subject>)]) -> String {
    let mut table = format!(
        "{:<20} {:<7} {:>10} {:>10} {:>7} {:>10} {:>7} {:>10} {:>10} {:>9}\n",
        "", "", "p50 µs", "p99 µs", "ratio", "fuel", "ratio", "memory KB", "component", "JSON in"
    );
    for name in names(sides) {
        let of_name = || {
            sides
                .iter()
                .filter_map(|(side, subjects)| Some((*side, subjects.iter().find(|s| s.name == name)?)))
        };
        let here = of_name().find(|(side, _)| *side == "here").map(|(_, subject)| subject);
        for (side, subject) in of_name() {
            // What cannot be written into a String is nothing.
            let _ = writeln!(table, "{name:<20} {side:<7} {}", line(subject, here));
        }
    }
    table
}

/// The names of all subjects, in the order of the side that has most.
fn names<'a>(sides: &'a [(&str, Vec<Subject>)]) -> Vec<&'a str> {
    let longest = sides.iter().map(|(_, subjects)| subjects).max_by_key(|subjects| subjects.len());
    longest.into_iter().flatten().map(|subject| subject.name.as_str()).collect()
}

/// The figures of a subject, and how many times those of this build they are.
fn line(subject: &Subject, here: Option<&Subject>) -> String {
    let times = here.map_or(1.0, |here| subject.p50 / here.p50);
    let mut line = format!("{:>10.1} {:>10.1} {times:>7.2}", subject.p50, subject.p99);
    if let Some(Cost { fuel, memory_bytes, component_bytes, told_bytes }) = subject.cost {
        let of_here = here.and_then(|here| here.cost).map_or(fuel, |cost| cost.fuel);
        let times = fuel as f64 / of_here as f64;
        let memory = memory_bytes / 1000;
        let _ = write!(line, " {fuel:>10} {times:>7.2} {memory:>10} {component_bytes:>10} {told_bytes:>9}");
    }
    line
}
