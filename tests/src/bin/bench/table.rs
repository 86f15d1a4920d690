//! The table of all sides.

use std::fmt::Write as _;

use backstay_tests::figures::{Figure, Figures, Unit};

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

/// What became worse by more than a tenth of what the side `before` has, too.
pub(crate) fn worse(sides: &[(&str, Vec<Subject>)]) -> String {
    let mut figures = Figures::default();
    let side = |wanted| sides.iter().find(|(side, _)| *side == wanted).map(|(_, subjects)| subjects);
    for now in side("here").into_iter().flatten() {
        let before = side("before").into_iter().flatten().find(|subject| subject.name == now.name);
        let mut add = |what: &str, unit, of: fn(&Subject) -> Option<f64>| {
            if let Some(of_now) = of(now) {
                let name = format!("{}, {what}", now.name);
                figures.add(Figure { name, unit, now: of_now, before: before.and_then(of), wanted: "" });
            }
        };
        add("p50", Unit::Microseconds, |subject| Some(subject.p50));
        add("fuel", Unit::Number, |subject| subject.cost.map(|cost| count(cost.fuel)));
        add("component in bytes", Unit::Number, |s| s.cost.map(|cost| count(cost.component_bytes)));
    }
    figures.worse()
}

#[allow(clippy::cast_precision_loss)]
fn count(number: u64) -> f64 {
    number as f64
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
