//! The traits that an author implements.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::describe::{Descriptor, Kind, StrategyKind, Traits};
use crate::failure::{Failure, Finding};
use crate::object::GroupKind;
use crate::pod::{PodResult, PodRun};
use crate::request::{Outcome, Request};
use crate::step::{Step, Stop, View};

/// The identity and description of a component, common to both kinds of strategy.
pub trait Strategy {
    /// Name of the component: a DNS label of at most 40 bytes.
    const NAME: &'static str;
    /// Semantic version of the component; usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The strategy kind that it serves.
    const KIND: Kind;
    /// Its abilities and needs.
    const TRAITS: Traits;
    /// The maximum duration of a run, in seconds.
    const LONGEST_RUN: u32;
    /// API group and kind of the applications that it can back up; empty means any.
    const APPLICATIONS: &'static [(&'static str, &'static str)] = &[];
    /// Versions of this component whose Backups it restores, as Cargo version requirements. Its own version is always
    /// included.
    const RESTORES: &'static [&'static str] = &[];

    /// The strategy's `.spec`. Its schema goes into the CRD, and calls receive it decoded. A spec that does not decode
    /// fails the run with `InvalidStrategy` and the field at fault, before the strategy is called.
    type Spec: DeserializeOwned + JsonSchema;

    /// Returns the schema of [`Strategy::Spec`] for the CRD, derived from the type. A component that must be small
    /// returns the schema from a file instead, and compares the two in a test: deriving it adds some 30 KB.
    #[must_use]
    fn schema() -> Value {
        crate::schema::of::<Self::Spec>()
    }

    /// Returns the descriptor, made from the constants above. A resource strategy adds its accesses and stages.
    #[must_use]
    fn describe() -> Descriptor
    where
        Self: Sized,
    {
        Descriptor::of::<Self>()
    }

    /// Checks a strategy without a run, when one is created or changed, and for lint. A spec that does not decode is
    /// reported without this call. Findings point into `{"strategy": spec, "parameters": {…}, "options": {…}}`.
    #[must_use]
    fn validate(check: &Check<'_, Self::Spec>) -> Vec<Finding> {
        let _ = check;
        Vec::new()
    }
}

impl Descriptor {
    /// Makes a descriptor from the constants of `S` and the schema of its spec: one kind, any parameters, any options,
    /// no access. Override [`Strategy::describe`] to change it.
    #[must_use]
    pub fn of<S: Strategy>() -> Self {
        Self {
            name: S::NAME.to_owned(),
            version: S::VERSION.to_owned(),
            kinds: vec![StrategyKind {
                group: S::KIND.group.to_owned(),
                version: S::KIND.version.to_owned(),
                kind: S::KIND.kind.to_owned(),
                plural: S::KIND.plural.to_owned(),
                schema: S::schema(),
                applications: S::APPLICATIONS.iter().map(|(g, k)| GroupKind::new(*g, *k)).collect(),
            }],
            parameters_schema: json!({"type": "object", "additionalProperties": {"type": "string"}}),
            options_schema: json!({"type": "object"}),
            access: Vec::new(),
            namespaces: BTreeMap::new(),
            stages: Vec::new(),
            longest_run: S::LONGEST_RUN,
            restores: S::RESTORES.iter().map(|v| (*v).to_owned()).collect(),
            target_namespace_option: None,
            traits: S::TRAITS,
        }
    }
}

/// The arguments of [`Strategy::validate`].
#[derive(Clone, Copy, Debug)]
pub struct Check<'a, S> {
    /// The strategy's `.spec`, decoded.
    pub spec: &'a S,
    /// Parameters of a BackupClass, if they are known.
    pub parameters: Option<&'a BTreeMap<String, String>>,
    /// Options of a RestoreJob, if they are known.
    pub options: Option<&'a Value>,
}

/// A strategy whose backup is one run of a pod. Export it with [`crate::export_pod!`].
pub trait PodStrategy: Strategy {
    /// Returns the pod to run. `application` is the live object, and `None` only on cleanup.
    ///
    /// # Errors
    /// The run fails; nothing has been created.
    fn render(request: &Request<Self::Spec>, application: Option<&Value>) -> Result<PodRun, Failure>;

    /// Renders as [`PodStrategy::render`] does, which it calls by default; a component is asked by this one. A strategy whose pod is
    /// mostly its spec can take that from the request ([`Request::take_spec`]) instead of copying it.
    ///
    /// # Errors
    /// As [`PodStrategy::render`].
    fn render_owned(
        request: &mut Request<Self::Spec>,
        application: Option<&Value>,
    ) -> Result<PodRun, Failure> {
        Self::render(request, application)
    }

    /// Returns the outcome of the ended pod run. A pod run that did not succeed cannot have an outcome; the host uses
    /// the outcome in mode backup only. [`crate::results`] has the usual rules.
    ///
    /// # Errors
    /// The run fails.
    fn parse(request: &Request<Self::Spec>, ended: &PodResult) -> Result<Outcome, Failure>;
}

/// A strategy whose backup is a sequence of steps on resources. Export it with [`crate::export_resource!`].
pub trait ResourceStrategy: Strategy {
    /// Returns the next step of a run.
    ///
    /// # Errors
    /// [`Stop`], usually by `?`: a question without an answer yet, a wait, or a failure that ends the run.
    fn step(request: &Request<Self::Spec>, view: &View) -> Result<Step, Stop>;
}
