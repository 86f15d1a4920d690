//! What is measured of a call, and the best of several rounds.

use std::time::Duration;

use backstay_tests::load;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::side::RENDER;

/// What was measured of one kind of call. Times are in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// What the sandbox counted, of a call of a component.
    pub(crate) cost: Option<Cost>,
    /// What was answered, if sides can be compared by it.
    pub(crate) answer: Option<String>,
}

/// What does not depend on other load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cost {
    pub(crate) fuel: u64,
    /// Peak of linear memory.
    pub(crate) memory_bytes: usize,
    /// Size of the component.
    pub(crate) component_bytes: u64,
    /// Text that goes in.
    pub(crate) told_bytes: usize,
}

impl Subject {
    /// Makes a subject of the times of its calls.
    pub(crate) fn of(name: &str, times: &[Duration]) -> Self {
        let at = |percent| load::at(times, percent).as_secs_f64() * 1e6;
        Self { name: name.to_owned(), p50: at(50), p99: at(99), cost: None, answer: None }
    }
}

/// Keeps of each subject the round with the lowest median, which other load disturbed least.
pub(crate) fn keep_best(best: &mut Vec<Subject>, round: Vec<Subject>) {
    for subject in round {
        match best.iter_mut().find(|known| known.name == subject.name) {
            Some(known) if known.p50 <= subject.p50 => {}
            Some(known) => *known = subject,
            None => best.push(subject),
        }
    }
}

/// Fails unless all sides rendered the same. Steps of another build may decide otherwise, which is told: what is compared then is how
/// long each takes to decide.
#[allow(clippy::print_stdout)]
pub(crate) fn same_answers(sides: &[(&str, Vec<Subject>)]) -> Outcome<()> {
    let answers = || {
        sides.iter().flat_map(|(side, subjects)| {
            subjects.iter().filter_map(move |s| Some((*side, s.name.as_str(), s.answer.as_ref()?)))
        })
    };
    for (side, name, answer) in answers() {
        match answers().find(|(_, of, its)| *of == name && *its != answer) {
            Some((other, _, its)) if name == RENDER => {
                return Err(
                    format!("{name} is not answered the same:\n{side}: {answer}\n{other}: {its}").into()
                );
            }
            Some((other, ..)) => {
                println!("The {name} of {side} does not come to the same decision as that of {other}.")
            }
            None => {}
        }
    }
    Ok(())
}
