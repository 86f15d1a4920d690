//! Metrics of the controller, in the OpenMetrics text format.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
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

/// The metrics of a controller.
pub struct Metrics {
    registry: Registry,
    ended: Family<Ended, Counter>,
    run_seconds: Family<Kind, Histogram, fn() -> Histogram>,
    calls: Family<Called, Counter>,
    call_seconds: Histogram,
    slots: Family<Slot, Counter>,
    projections: Family<Projected, Counter>,
    mended: Family<Mended, Counter>,
}

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
        let mended = Family::default();
        let about = "Differences between the memory of the controller and the cluster that were mended, by what differed";
        registry.register("memory_mended", about, mended.clone());
        Self { registry, ended, run_seconds, calls, call_seconds, slots, projections, mended }
    }
}

impl Metrics {
    /// Counts a run that ended after `seconds`.
    pub fn run_ended(&self, kind: &str, phase: &str, reason: &str, seconds: f64) {
        let labels = Ended { kind: kind.to_owned(), phase: phase.to_owned(), reason: reason.to_owned() };
        self.ended.get_or_create(&labels).inc();
        self.run_seconds.get_or_create(&Kind { kind: kind.to_owned() }).observe(seconds);
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
