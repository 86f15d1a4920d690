//! Metrics of the controller, in the OpenMetrics text format.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use backstay_api::conditions::reasons;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    kind: String,
    phase: String,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Called {
    component: String,
    function: String,
    result: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Slot {
    outcome: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Mended {
    what: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Projected {
    namespace: String,
    result: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Panicked {
    part: &'static str,
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Unreadable {
    kind: String,
    namespace: String,
}

/// The metrics of a controller.
pub struct Metrics {
    registry: Registry,
    ended: Family<Ended, Counter>,
    run_seconds: Family<Kind, Histogram, fn() -> Histogram>,
    calls: Family<Called, Counter>,
    call_seconds: Histogram,
    slots: Family<Slot, Counter>,
    projections: Family<Projected, Counter>,
    unreadable: Family<Unreadable, Counter>,
    panics: Family<Panicked, Counter>,
    /// Reasons of strategies that are labels.
    strategy_reasons: Mutex<BTreeSet<String>>,
    fields_not_kept: Family<Kind, Gauge>,
    other_writers: Family<Kind, Counter>,
    mended: Family<Mended, Counter>,
    longest_poll: Family<Part, Seconds>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Part {
    part: String,
}

/// A gauge of seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

/// How many reasons that strategies made up become labels: each is kept for as long as the process runs.
const STRATEGY_REASONS: usize = 100;
/// The label of all reasons beyond.
const OTHER: &str = "Other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("backstay");
        let ended = Family::default();
        registry.register("runs_ended", "Runs that ended, by kind, phase and reason", ended.clone());
        let run_seconds: Family<Kind, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 3.0, 10)));
        let about = "Time from the beginning of a run to its end";
        registry.register_with_unit("run_duration", about, Unit::Seconds, run_seconds.clone());
        let calls = Family::default();
        registry.register("component_calls", "Calls of components, by function and result", calls.clone());
        let call_seconds = Histogram::new(exponential_buckets(0.000_05, 3.0, 12));
        let about = "Time of one call of a component";
        registry.register_with_unit("component_call_duration", about, Unit::Seconds, call_seconds.clone());
        let slots = Family::default();
        registry.register("plan_slots", "Slots of Plans, by outcome", slots.clone());
        let projections = Family::default();
        let about =
            "Projections of the platform's credentials into the namespaces that always have them, by result";
        registry.register("credentials_projections", about, projections.clone());
        let unreadable = Family::default();
        let about = "Times that a watch showed an object that does not decode, by kind and namespace; an Event names it";
        registry.register("unreadable_objects", about, unreadable.clone());
        let panics = Family::default();
        let about = "Faults of the controller that it contained, by its part and the kind of the object";
        registry.register("panics", about, panics.clone());
        let fields_not_kept = Family::default();
        let about =
            "Fields of a kind that the API server does not keep, because its CRD is of another version";
        registry.register("fields_not_kept", about, fields_not_kept.clone());
        let other_writers = Family::default();
        let about = "Runs whose status somebody else has written too, by kind";
        registry.register("runs_with_another_writer", about, other_writers.clone());
        let mended = Family::default();
        let about = "Differences between the memory of the controller and the cluster that were mended, by what differed";
        registry.register("memory_mended", about, mended.clone());
        let longest_poll = Family::default();
        let about = "Longest time for which a task of the controller has kept the thread that all of them share, by task";
        registry.register_with_unit("longest_poll", about, Unit::Seconds, longest_poll.clone());
        Self {
            registry,
            ended,
            run_seconds,
            calls,
            call_seconds,
            slots,
            projections,
            panics,
            unreadable,
            strategy_reasons: Mutex::default(),
            fields_not_kept,
            other_writers,
            mended,
            longest_poll,
        }
    }
}

impl Metrics {
    /// Returns the gauge of the longest poll of a task.
    #[must_use]
    pub fn longest_poll(&self, part: String) -> Seconds {
        self.longest_poll.get_or_create(&Part { part }).clone()
    }

    /// Counts a run that ended after `seconds`.
    pub fn run_ended(&self, kind: &str, phase: &str, reason: &str, seconds: f64) {
        let reason = self.reason(reason).to_owned();
        let labels = Ended { kind: kind.to_owned(), phase: phase.to_owned(), reason };
        self.ended.get_or_create(&labels).inc();
        self.run_seconds.get_or_create(&Kind { kind: kind.to_owned() }).observe(seconds);
    }

    /// Returns the label of a reason: the reason itself if it is the controller's, or among the first that strategies gave.
    fn reason<'a>(&self, reason: &'a str) -> &'a str {
        if reasons::ALL.contains(&reason) {
            return reason;
        }
        let mut known = self.strategy_reasons.lock();
        if !known.contains(reason) {
            if known.len() >= STRATEGY_REASONS {
                return OTHER;
            }
            known.insert(reason.to_owned());
        }
        reason
    }

    /// Counts a call of a component; `result` is `ok` or the reason of the error.
    pub fn called(&self, component: &str, function: &str, result: &str, seconds: f64) {
        let labels = Called {
            component: component.to_owned(),
            function: function.to_owned(),
            result: result.to_owned(),
        };
        self.calls.get_or_create(&labels).inc();
        self.call_seconds.observe(seconds);
    }

    /// Counts the outcome of a slot of a Plan.
    pub fn slot(&self, outcome: &str) {
        self.slots.get_or_create(&Slot { outcome: outcome.to_owned() }).inc();
    }

    /// Counts a projection of credentials into a namespace that always has them; `reason` is why it failed.
    pub fn projected(&self, namespace: &str, reason: Option<&str>) {
        let result = reason.unwrap_or("ok").to_owned();
        self.projections.get_or_create(&Projected { namespace: namespace.to_owned(), result }).inc();
    }

    /// Counts a panic in a part of the controller that worked on an object of this kind.
    pub fn panicked(&self, part: &'static str, kind: &str) {
        self.panics.get_or_create(&Panicked { part, kind: kind.to_owned() }).inc();
    }

    /// Counts an object that does not decode.
    pub fn unreadable(&self, kind: &str, namespace: &str) {
        let labels = Unreadable { kind: kind.to_owned(), namespace: namespace.to_owned() };
        self.unreadable.get_or_create(&labels).inc();
    }

    /// Sets the number of fields of a kind that the API server does not keep.
    pub fn fields_not_kept(&self, kind: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.fields_not_kept.get_or_create(&Kind { kind: kind.to_owned() }).set(count);
    }

    /// Counts a run whose status somebody else has written too.
    pub fn other_writer(&self, kind: &str) {
        self.other_writers.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// Counts something in the memory of the controller that differed from the cluster, and was mended.
    pub fn mended(&self, what: &str) {
        self.mended.get_or_create(&Mended { what: what.to_owned() }).inc();
    }

    /// Returns all metrics as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_strategies_make_up_are_a_bounded_number_of_labels() {
        let metrics = Metrics::default();
        for i in 0..10_000 {
            metrics.run_ended("BackupJob", "Failed", &format!("MadeUp{i}"), 1.0);
        }
        metrics.run_ended("BackupJob", "Failed", reasons::JOB_FAILED, 1.0);
        let text = metrics.text();
        let ended = text.lines().filter(|line| line.starts_with("backstay_runs_ended_total")).count();
        assert_eq!(ended, STRATEGY_REASONS + 2);
        assert!(text.contains("reason=\"Other\"} 9900") && text.contains("reason=\"JobFailed\"} 1"));
    }
}
