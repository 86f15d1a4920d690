//! What an author implements.

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

/// Who a component is: what both kinds of strategy have in common.
pub trait Strategy {
    /// Name of the component: DNS label, at most 40 bytes.
    const NAME: &'static str;
    /// Semantic version of the component; usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The strategy kind served.
    const KIND: Kind;
    /// What it can do, and what it needs.
    const TRAITS: Traits;
    /// The longest that a run may take, in seconds.
    const LONGEST_RUN: u32;
    /// API group and kind of the applications that it can back up; empty means any.
    const APPLICATIONS: &'static [(&'static str, &'static str)] = &[];
    /// Versions of this component whose Backups it restores, as Cargo version requirements; its own always.
    const RESTORES: &'static [&'static str] = &[];

    /// The strategy's `.spec`: its schema goes into the CRD, and calls get it decoded. A spec that does not decode ends
    /// the run with `InvalidStrategy` and the field to blame before the strategy is asked.
    type Spec: DeserializeOwned + JsonSchema;

    /// The schema of [`Strategy::Spec`] as the CRD takes it, made of the type. A component that is to be small returns
    /// the same from a file, and has a test that compares the two: what makes schemas is some 30 KB.
    #[must_use]
    fn schema() -> Value {
        crate::schema::of::<Self::Spec>()
    }

    /// What it serves and asks for, made of the constants above. A resource strategy adds its accesses and stages.
    #[must_use]
    fn describe() -> Descriptor
    where
        Self: Sized,
    {
        Descriptor::of::<Self>()
    }

    /// Check a strategy without any run: called when one is created or changed, and by lint. A spec that does not
    /// decode has been reported already. Findings point into `{"strategy": spec, "parameters": {…}, "options": {…}}`.
    #[must_use]
    fn validate(check: &Check<'_, Self::Spec>) -> Vec<Finding> {
        let _ = check;
        Vec::new()
    }
}

impl Descriptor {
    /// The descriptor that the constants of `S` and the schema of its spec make: one kind, any parameters, any options,
    /// no access. Change what it returns in [`Strategy::describe`] to say more.
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

/// What [`Strategy::validate`] is to check.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a, S> {
    /// The strategy's `.spec`, decoded.
    pub spec: &'a S,
    /// Parameters of a BackupClass, where they are known.
    pub parameters: Option<&'a BTreeMap<String, String>>,
    /// Options of a RestoreJob, where they are known.
    pub options: Option<&'a Value>,
}

/// A strategy that is one run of a pod. Export it with [`crate::export_pod!`].
pub trait PodStrategy: Strategy {
    /// The pod to run. `application` is the live object, none only on cleanup.
    ///
    /// # Errors
    /// Ends the run; nothing has been created.
    fn render(request: &Request<Self::Spec>, application: Option<&Value>) -> Result<PodRun, Failure>;

    /// What the ended pod run means. One that did not succeed cannot mean an outcome; the outcome counts in mode backup
    /// only. See [`crate::results`] for what is usual.
    ///
    /// # Errors
    /// Ends the run.
    fn parse(request: &Request<Self::Spec>, ended: &PodResult) -> Result<Outcome, Failure>;
}

/// A strategy that is steps on resources. Export it with [`crate::export_resource!`].
pub trait ResourceStrategy: Strategy {
    /// The next step of a run.
    ///
    /// # Errors
    /// [`Stop`], made by `?`: a question that has no answer yet, or a failure that ends the run.
    fn step(request: &Request<Self::Spec>, view: &View) -> Result<Step, Stop>;
}
