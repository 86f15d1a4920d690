//! Random sequences of requests, weighted after what controllers do: few names, so that requests meet.
//!
//! They are in the form of the recorded ones (`tests/data/sequences.md`). The same seed gives the same sequence. What a cluster's
//! controllers would change is left out by construction: neither server has controllers (`setup.alone`).

mod dice;
mod kinds;
mod pod;
mod reads;
mod widget;
mod writes;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use dice::Dice;
use kinds::{KINDS, Kind};

/// The sequence of a seed.
pub(crate) fn sequence(seed: u64) -> Value {
    let mut dice = Dice::new(seed);
    let main = chosen(&mut dice);
    let mut kinds = vec![main, main, main];
    if dice.percent(30) {
        kinds.push(chosen(&mut dice));
    }
    let mut plan = Plan { dice, steps: Vec::new(), watches: Vec::new(), opened: 0, alive: BTreeSet::new() };
    if kinds.iter().any(|kind| kind.plural == "pods") {
        // Pods need the account that a controller makes in a cluster; without a token, so that none is put into them.
        let body = json!({"metadata": {"name": "default"}, "automountServiceAccountToken": false});
        plan.steps.push(json!({"method": "POST", "path": "/api/v1/namespaces/${ns}/serviceaccounts", "body": body, "no_body": true}));
    }
    for _ in 0..7 + plan.dice.below(12) {
        let kind = plan.dice.pick(&kinds);
        plan.step(kind);
    }
    plan.read_all();
    let owners = plan.dice.percent(35);
    let custom: Vec<&str> = KINDS
        .iter()
        .filter(|kind| kind.custom && kinds.iter().any(|one| one.plural == kind.plural))
        .map(|kind| kind.plural)
        .collect();
    let crds: Vec<String> = custom.iter().map(|plural| format!("{plural}.lab.example.com")).collect();
    let strip: &[&str] = if owners { &[] } else { &["managedFields"] };
    json!({"name": format!("seed {seed}"), "area": main.plural, "setup": {"crds": crds, "alone": true}, "strip": strip, "steps": plan.steps})
}

fn chosen(dice: &mut Dice) -> &'static Kind {
    let weights: Vec<(usize, &'static Kind)> = KINDS.iter().map(|kind| (kind.weight, kind)).collect();
    dice.weighted(&weights)
}

/// A sequence that is being made.
struct Plan {
    dice: Dice,
    steps: Vec<Value>,
    /// The watches that are open.
    watches: Vec<String>,
    opened: usize,
    /// The objects that are there by now, if all went well.
    alive: BTreeSet<String>,
}

/// Makes a step.
type Maker = fn(&mut Plan, &'static Kind);

const STEPS: &[(usize, Maker)] = &[
    (17, Plan::create),
    (8, Plan::get),
    (9, Plan::list),
    (5, Plan::open),
    (3, Plan::read),
    (13, Plan::change),
    (5, Plan::replace),
    (13, Plan::merge),
    (5, Plan::json_patch),
    (4, Plan::strategic),
    (13, Plan::apply),
    (9, Plan::status),
    (7, Plan::delete),
    (1, Plan::delete_all),
    (4, Plan::let_go),
    (2, Plan::odd),
];

impl Plan {
    fn step(&mut self, kind: &'static Kind) {
        self.dice.calm = self.dice.percent(55);
        let make = self.dice.weighted(STEPS);
        make(self, kind);
    }

    /// One of the few names; seldom one that is refused.
    fn name(&mut self) -> &'static str {
        self.dice.weighted(&[(60, "a"), (25, "b"), (3, "c")])
    }

    /// The name of an object that is there, most of the time; it is made first if there is none.
    fn existing(&mut self, kind: &'static Kind) -> &'static str {
        let alive: Vec<&'static str> =
            ["a", "b", "c"].into_iter().filter(|name| self.alive.contains(&tag(kind, name))).collect();
        if alive.is_empty() && self.dice.percent(85) {
            let (name, calm) = (self.name(), std::mem::replace(&mut self.dice.calm, true));
            let body = kind.object(name, &mut self.dice);
            self.dice.calm = calm;
            let options = self.options();
            self.alive.insert(tag(kind, name));
            self.request("POST", kind.path(), name, kind, options, json!({"body": body}));
            return name;
        }
        if alive.is_empty() || self.dice.percent(7) { self.name() } else { self.dice.pick(&alive) }
    }

    /// Adds a request; what it answers of an object is kept for later requests.
    fn request(
        &mut self,
        method: &str,
        path: String,
        name: &str,
        kind: &Kind,
        query: Vec<(&str, String)>,
        more: Value,
    ) {
        let mut step = json!({"method": method, "path": path});
        if !query.is_empty() {
            step["query"] = query
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.into()))
                .collect::<serde_json::Map<_, _>>()
                .into();
        }
        if let Value::Object(more) = more {
            more.into_iter().for_each(|(key, value)| step[key] = value);
        }
        if !name.is_empty() {
            step["keep"] = tag(kind, name).into();
        }
        self.steps.push(step);
    }

    /// The path of one object, sometimes of a part of it.
    fn path(&mut self, kind: &Kind, name: &str) -> String {
        format!("{}/{name}", kind.path())
    }

    /// Parameters of a write.
    fn options(&mut self) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        let dice = &mut self.dice;
        if dice.percent(30) {
            options.push(("fieldManager", dice.pick(&["m1", "m2", "m1"]).into()));
        }
        if dice.percent(30) {
            options.push((
                "fieldValidation",
                dice.weighted(&[(10, "Strict"), (3, "Warn"), (8, "Ignore"), (1, "Odd")]).into(),
            ));
        }
        if dice.percent(6) {
            options.push(("dryRun", dice.weighted(&[(12, "All"), (1, "Odd")]).into()));
        }
        options
    }

    /// A version: the latest that was seen, an old one, or none that is one.
    fn version(&mut self, tag: &str) -> String {
        match self.dice.below(20) {
            0 => "1".into(),
            1 => "0".into(),
            2 => "999999999".into(),
            3 => "abc".into(),
            4 => String::new(),
            _ => format!("${{rv_{tag}}}"),
        }
    }

    fn uid(&mut self, tag: &str) -> String {
        match self.dice.below(6) {
            0 => "00000000-0000-0000-0000-000000000009".into(),
            1 => String::new(),
            _ => format!("${{uid_{tag}}}"),
        }
    }
}

/// What the values of an object are kept under.
fn tag(kind: &Kind, name: &str) -> String {
    format!("{}_{name}", kind.plural)
}
