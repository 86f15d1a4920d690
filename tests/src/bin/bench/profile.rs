//! Where the fuel of a call goes: the call is made again and again with a little more fuel, and each time it ends where that is used
//! up. The same call uses the same fuel, so the samples of a build are always the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use backstay_engine::Component;

use crate::{Call, Outcome};

/// Functions in a table.
const SHOWN: usize = 60;

/// The samples of a call.
pub(crate) struct Profile {
    /// Fuel between two samples.
    every: u64,
    /// The functions on the stack at each, innermost first. The runtime names the innermost twenty.
    samples: Vec<Vec<String>>,
}

impl Profile {
    /// Takes a sample after every so many units of fuel.
    pub(crate) fn of(call: &Call, component: &Component, every: u64) -> Outcome<Self> {
        let mut samples = Vec::new();
        for fuel in (1..).map(|number: u64| number.saturating_mul(every)) {
            let Some(stack) = call.stack(component, fuel)? else { break };
            samples.push(stack.iter().map(|name| short(name)).collect());
        }
        if samples.iter().all(Vec::is_empty) {
            return Err(
                "the component has no names of functions: build it with CARGO_PROFILE_GUEST_STRIP=none"
                    .into(),
            );
        }
        Ok(Self { every, samples })
    }

    /// Returns tables of functions: by what they do themselves, and by what they do with all that they call; and of crates.
    pub(crate) fn text(&self) -> String {
        let innermost = self.samples.iter().filter_map(|stack| stack.first());
        let mut text = self.table("fuel of its own", innermost.clone().map(String::as_str));
        let all = self.samples.iter().flat_map(|stack| stack.iter().collect::<BTreeSet<_>>());
        text.push_str(&self.table("fuel with all that it calls", all.map(String::as_str)));
        text.push_str(&self.table("by crate", innermost.map(|name| crate_of(name))));
        text
    }

    fn table<'a>(&self, title: &str, names: impl Iterator<Item = &'a str>) -> String {
        let mut counted = BTreeMap::<_, u64>::new();
        names.for_each(|name| *counted.entry(name).or_default() += 1);
        let mut counted: Vec<_> = counted.into_iter().collect();
        counted.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let mut text = format!("| {title} | fuel |\n| --- | --- |\n");
        for (name, number) in counted.into_iter().take(SHOWN) {
            // What cannot be written into a String is nothing.
            let _ = writeln!(text, "| {name} | {} |", number * self.every);
        }
        text.push('\n');
        text
    }
}

/// The name of a function as it is in its source, without the hash of its build.
fn short(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// The crate of a function. What is generic belongs to the crate that defines it.
fn crate_of(name: &str) -> &str {
    let name = name.trim_start_matches(['<', '&', '(']).trim_start_matches("dyn ");
    name.split_once("::").map_or("other", |(of, _)| of)
}
