//! What was seen, as a table, and what of it is wrong.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use super::input::Input;
use super::tenant::Sent;
use super::told::{Told, key};

/// Most resident memory.
const MOST_MEMORY: u64 = 300 << 20;
/// Longest start while everything is there.
const LONGEST_START: Duration = Duration::from_secs(30);
/// Calls that the controller makes for a backup, one after the other: each may take as long as the neighbour's own.
const CALLS: u32 = 8;
/// Fewest different inputs.
const FEWEST_INPUTS: usize = 200;

/// Inputs of a group, by what came of them.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    inputs: usize,
    refused: usize,
    failed: usize,
    succeeded: usize,
    waits: usize,
    event: usize,
    gone: usize,
    /// Inputs without an object that has to say something.
    mute: usize,
    /// Inputs whose first request is refused where CRDs and policies are installed.
    with_policies: usize,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Report {
    rows: BTreeMap<&'static str, Row>,
    /// Refusals by code, with the first message.
    codes: BTreeMap<u16, (usize, String)>,
    pub(super) idle: Vec<Result<Duration, String>>,
    pub(super) disturbed: Vec<Result<Duration, String>>,
    pub(super) after_restart: Vec<Result<Duration, String>>,
    /// The slowest answer that the neighbour itself got to a call.
    pub(super) slowest_call: Duration,
    pub(super) idle_memory: u64,
    pub(super) peak_memory: u64,
    pub(super) memory_with_all: u64,
    pub(super) memory_after: u64,
    pub(super) first_ready: Duration,
    pub(super) ready_again: Option<Duration>,
    pub(super) sending: Duration,
    /// Processor time of the controller meanwhile, in seconds.
    pub(super) processor: f64,
    /// When each stage was over.
    pub(super) stages: Vec<(&'static str, Duration)>,
    pub(super) probes: usize,
    pub(super) slowest_probe: Duration,
    pub(super) unready: Vec<(Duration, String)>,
    pub(super) wrong: Vec<String>,
    /// What was not played, and why.
    pub(super) left_out: Vec<String>,
}

fn worst(latencies: &[Result<Duration, String>]) -> Duration {
    latencies.iter().flatten().max().copied().unwrap_or_default()
}

#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Report {
    /// Counts what came of the inputs.
    pub(super) fn judge(&mut self, inputs: &[Input], sent: &[Sent], told: &HashMap<String, Told>) {
        for (input, sent) in inputs.iter().zip(sent) {
            let row = self.rows.entry(input.group).or_default();
            row.inputs += 1;
            match (sent, &input.object) {
                (Sent::Refused(code, message), _) => {
                    row.refused += 1;
                    self.codes.entry(*code).or_insert((0, message.clone())).0 += 1;
                }
                (Sent::Failed(error), _) => self.wrong.push(format!("{}: {error}", input.about)),
                (Sent::Admitted, None) => row.mute += 1,
                (Sent::Admitted, Some(object)) => match told.get(&key(object)).unwrap_or(&Told::Nothing) {
                    Told::Ended(phase, _) if phase == "Succeeded" => row.succeeded += 1,
                    Told::Ended(..) => row.failed += 1,
                    Told::Says(_) => row.waits += 1,
                    Told::Event(_) => row.event += 1,
                    Told::Gone => row.gone += 1,
                    Told::Nothing => self.wrong.push(format!("{}: it says nothing", input.about)),
                },
            }
        }
    }

    /// Counts what is refused where CRDs and policies are installed.
    pub(super) fn judge_with_policies(&mut self, inputs: &[Input], sent: &[Sent]) {
        for (input, sent) in inputs.iter().zip(sent) {
            match sent {
                Sent::Refused(..) => self.rows.entry(input.group).or_default().with_policies += 1,
                Sent::Admitted if input.refused_by_policy() => {
                    self.wrong.push(format!("{}: admitted in spite of the policies", input.about));
                }
                Sent::Admitted => {}
                Sent::Failed(error) => self.wrong.push(format!("{}, dry run: {error}", input.about)),
            }
        }
    }

    /// Returns everything that is wrong, one a line.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        let inputs: usize = self.rows.values().map(|row| row.inputs).sum();
        if inputs < FEWEST_INPUTS {
            wrong.push(format!("only {inputs} inputs: the generator has lost its way"));
        }
        if let Some((at, error)) = self.unready.first() {
            wrong.push(format!(
                "{} probes went wrong, the first after {} s: {error}",
                self.unready.len(),
                at.as_secs()
            ));
        }
        if self.peak_memory > MOST_MEMORY {
            wrong.push(format!(
                "{:.0} MiB resident at the peak, at most {:.0}",
                mib(self.peak_memory),
                mib(MOST_MEMORY)
            ));
        }
        if self.memory_after * 10 > self.idle_memory * 12 {
            wrong.push(format!(
                "{:.0} MiB resident when all is gone, {:.0} before it came",
                mib(self.memory_after),
                mib(self.idle_memory)
            ));
        }
        let bound = worst(&self.idle) * 2 + Duration::from_secs(1) + self.slowest_call * CALLS;
        for (when, latencies) in [("meanwhile", &self.disturbed), ("after the restart", &self.after_restart)]
        {
            wrong.extend(latencies.iter().filter_map(|l| l.as_ref().err()).map(|e| format!("{when}: {e}")));
            if worst(latencies) > bound {
                wrong.push(format!("the neighbour waited {:?} {when}, at most {bound:?}", worst(latencies)));
            }
        }
        match self.ready_again {
            Some(after) if after > LONGEST_START => wrong.push(format!("the restart took {after:?}")),
            _ => {}
        }
        wrong
    }

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| inputs | number | refused | failed | succeeded | wait, and say why | only an Event | gone | no run | refused with the policies |\n|---|---|---|---|---|---|---|---|---|---|\n",
        );
        let mut all = Row::default();
        let mut line = |name: &str, r: Row| {
            // Writing to a String cannot fail.
            let _ = writeln!(
                table,
                "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                r.inputs, r.refused, r.failed, r.succeeded, r.waits, r.event, r.gone, r.mute, r.with_policies
            );
        };
        for (name, row) in &self.rows {
            line(name, *row);
            all.inputs += row.inputs;
            all.refused += row.refused;
            all.failed += row.failed;
            all.succeeded += row.succeeded;
            all.waits += row.waits;
            all.event += row.event;
            all.gone += row.gone;
            all.mute += row.mute;
            all.with_policies += row.with_policies;
        }
        line("all", all);
        let worst_of =
            |l: &[Result<Duration, String>]| format!("{} ms of {} backups", worst(l).as_millis(), l.len());
        let _ = write!(
            table,
            "
refused by code                        {:?}
sending                                {} s
    until each says something          {:.0} s of processor time
resident memory, idle                  {:.0} MiB
    at the peak                        {:.0} MiB (at most {:.0})
    after the restart, all still there {:.0} MiB
    when all is gone                   {:.0} MiB (at most 1.2 times idle)
neighbour, worst, idle                 {}
    meanwhile                          {} (at most twice, 1 s, and {CALLS} calls)
    after the restart                  {}
    slowest call of its own            {} ms
start to ready, before                 {} ms
    while all is there                 {}
probes                                 {}, slowest answer {} ms, {} not ready
",
            self.codes,
            self.sending.as_secs(),
            self.processor,
            mib(self.idle_memory),
            mib(self.peak_memory),
            mib(MOST_MEMORY),
            mib(self.memory_with_all),
            mib(self.memory_after),
            worst_of(&self.idle),
            worst_of(&self.disturbed),
            worst_of(&self.after_restart),
            self.slowest_call.as_millis(),
            self.first_ready.as_millis(),
            self.ready_again.map_or("never".to_owned(), |after| format!("{} ms", after.as_millis())),
            self.probes,
            self.slowest_probe.as_millis(),
            self.unready.len()
        );
        for line in &self.left_out {
            let _ = writeln!(table, "left out: {line}");
        }
        for (name, over) in &self.stages {
            let _ = writeln!(table, "over after {:>4} s: {name}", over.as_secs());
        }
        table
    }
}
