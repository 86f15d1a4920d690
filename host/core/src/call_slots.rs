//! Which call of a component is next: components share the slots for calls, and within a component namespaces do.
//!
//! A component has at most half of the slots, so that one that computes for as long as it may leaves room for the others.
//! Calls that wait are taken in turn, first by component, then by namespace. Within a component, restores go first: somebody
//! waits for them. Every so many calls it is another one's turn nevertheless.
//!
//! A call that waits holds a place in a queue of reconciles, so the line of a component has an end as well: who comes then is
//! turned away and comes again.

use std::collections::HashMap;

use crate::fair::FairQueue;

/// Within a component, every so many calls the next one is not that of a restore.
const OTHERS_TURN: u64 = 4;

/// A call that waits or runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Name of the component.
    pub component: String,
    /// Namespace of the run; empty for a call for an object outside of namespaces.
    pub namespace: String,
    /// Whether the run is a restore.
    pub restore: bool,
}

/// The slots, and who waits for one.
#[derive(Debug)]
pub struct CallSlots {
    slots: usize,
    /// Calls of one component that may wait.
    longest_line: usize,
    last_number: u64,
    /// Calls that run, by component.
    running: HashMap<String, usize>,
    /// The components with waiting calls. An item stands for the whole line of its component.
    turns: FairQueue<String, ()>,
    lines: HashMap<String, Line>,
}

/// The waiting calls of a component, by namespace; the items are the numbers of the calls.
#[derive(Debug, Default)]
struct Line {
    restores: FairQueue<String, u64>,
    others: FairQueue<String, u64>,
    taken: u64,
    /// The number of the component's item among the turns.
    turn: u64,
    length: usize,
}

impl Line {
    fn next(&mut self) -> Option<u64> {
        self.taken += 1;
        let (first, second) = match self.taken.is_multiple_of(OTHERS_TURN) {
            true => (&mut self.others, &mut self.restores),
            false => (&mut self.restores, &mut self.others),
        };
        first.next(|_| true).or_else(|| second.next(|_| true))
    }

    fn is_empty(&self) -> bool {
        self.restores.is_empty() && self.others.is_empty()
    }
}

impl CallSlots {
    /// So many slots, at least one, all of them free, with a line of so many for each component.
    #[must_use]
    pub fn new(slots: usize, longest_line: usize) -> Self {
        Self {
            slots: slots.max(1),
            longest_line: longest_line.max(1),
            last_number: 0,
            running: HashMap::new(),
            turns: FairQueue::default(),
            lines: HashMap::new(),
        }
    }

    /// Returns how many calls of one component may run at once.
    #[must_use]
    pub fn of_component(&self) -> usize {
        (self.slots / 2).max(1)
    }

    /// Has a call wait for a slot, and returns its number; `None` if too many of its component wait.
    pub fn ask(&mut self, call: &Call) -> Option<u64> {
        if self.lines.get(&call.component).is_some_and(|line| line.length >= self.longest_line) {
            return None;
        }
        self.last_number += 1;
        let number = self.last_number;
        let line = self.lines.entry(call.component.clone()).or_default();
        line.length += 1;
        if line.is_empty() {
            line.turn = number;
            self.turns.push(call.component.clone(), number, ());
        }
        let queue = if call.restore { &mut line.restores } else { &mut line.others };
        queue.push(call.namespace.clone(), number, number);
        Some(number)
    }

    /// Gives a free slot to the call whose turn it is, and returns its number.
    pub fn grant(&mut self) -> Option<u64> {
        if self.running.values().sum::<usize>() >= self.slots {
            return None;
        }
        let (running, most) = (&self.running, self.of_component());
        let may = |component: &String| running.get(component).is_none_or(|calls| *calls < most);
        let (component, turn) = self.turns.peek(may)?;
        self.turns.take(&component, turn);
        let line = self.lines.get_mut(&component)?;
        let number = line.next()?;
        line.length -= 1;
        if line.is_empty() {
            self.lines.remove(&component);
        } else {
            self.last_number += 1;
            line.turn = self.last_number;
            self.turns.push(component.clone(), line.turn, ());
        }
        *self.running.entry(component).or_default() += 1;
        Some(number)
    }

    /// Removes a waiting call, and returns whether it waited.
    pub fn withdraw(&mut self, call: &Call, number: u64) -> bool {
        let Some(line) = self.lines.get_mut(&call.component) else { return false };
        let queue = if call.restore { &mut line.restores } else { &mut line.others };
        let waited = queue.remove(&call.namespace, number).is_some();
        line.length -= usize::from(waited);
        if line.is_empty() {
            self.turns.remove(&call.component, line.turn);
            self.lines.remove(&call.component);
        }
        waited
    }

    /// Ends a call: its slot is free.
    pub fn end(&mut self, call: &Call) {
        let Some(calls) = self.running.get_mut(&call.component) else { return };
        *calls -= 1;
        if *calls == 0 {
            self.running.remove(&call.component);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(component: &str, namespace: &str) -> Call {
        Call { component: component.into(), namespace: namespace.into(), restore: false }
    }

    fn restore(component: &str, namespace: &str) -> Call {
        Call { restore: true, ..call(component, namespace) }
    }

    /// Slots and calls that wait, by their numbers.
    struct Given {
        slots: CallSlots,
        calls: HashMap<u64, Call>,
    }

    impl Given {
        fn new(slots: usize) -> Self {
            Self { slots: CallSlots::new(slots, 1000), calls: HashMap::new() }
        }

        fn asked(mut self, calls: impl IntoIterator<Item = Call>) -> Self {
            for call in calls {
                self.calls.insert(self.slots.ask(&call).expect("the line is not full"), call);
            }
            self
        }

        /// Grants slots for as long as there is one.
        fn granted(&mut self) -> Vec<String> {
            let numbers = std::iter::from_fn(|| self.slots.grant()).collect::<Vec<_>>();
            numbers.iter().map(|number| self.shown(*number)).collect()
        }

        fn shown(&self, number: u64) -> String {
            let call = &self.calls[&number];
            format!("{}/{}", call.component, call.namespace)
        }

        /// Grants one slot after the other, each free again before the next.
        fn order(&mut self) -> Vec<String> {
            let one = || {
                let number = self.slots.grant()?;
                self.slots.end(&self.calls[&number].clone());
                Some(self.shown(number))
            };
            std::iter::from_fn(one).collect()
        }
    }

    #[test]
    fn a_component_has_at_most_half_of_the_slots_and_at_least_one() {
        for (slots, of_component) in [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)] {
            let hostile = || (0..100).map(|_| call("hostile", "a"));
            let mut given = Given::new(slots).asked(hostile()).asked([call("job", "b")]);
            let granted = given.granted();
            let of = |component: &str| granted.iter().filter(|c| c.starts_with(component)).count();
            assert_eq!(of("hostile"), of_component, "{slots}");
            assert_eq!(of("job"), usize::from(slots > 1), "{slots}");
        }
    }

    #[test]
    fn calls_are_taken_in_turn_by_component_then_by_namespace() {
        let backlog = (0..3).map(|_| call("steps", "a"));
        let mut given = Given::new(2).asked(backlog).asked([
            call("steps", "b"),
            call("job", "c"),
            call("job", "c"),
            call("steps", "b"),
        ]);
        assert_eq!(given.order(), ["steps/a", "job/c", "steps/b", "job/c", "steps/a", "steps/b", "steps/a"]);
        assert!(
            given.slots.lines.is_empty() && given.slots.running.is_empty() && given.slots.turns.is_empty()
        );
    }

    #[test]
    fn within_a_component_restores_go_first_and_the_others_are_not_starved() {
        let mut given = Given::new(2)
            .asked((0..2).map(|_| call("job", "backups")))
            .asked((0..5).map(|_| restore("job", "restores")));
        let order = given.order();
        let others: Vec<_> = (0..order.len()).filter(|i| order[*i] == "job/backups").collect();
        assert_eq!(others, [3, 6], "{order:?}");
    }

    #[test]
    fn t6_the_line_of_a_component_has_an_end_and_the_others_have_theirs() {
        let mut slots = CallSlots::new(2, 3);
        let (hostile, job) = (call("hostile", "a"), call("job", "b"));
        let asked: Vec<_> = (0..5).map(|_| slots.ask(&hostile)).collect();
        assert_eq!(asked.iter().flatten().count(), 3);
        assert!(slots.ask(&job).is_some());
        assert!(slots.grant().is_some());
        let again = slots.ask(&hostile).expect("one has gone");
        assert!(slots.withdraw(&hostile, again));
        assert!(slots.ask(&hostile).is_some());
        assert!(slots.ask(&hostile).is_none());
    }

    #[test]
    fn a_call_that_is_given_up_frees_its_place_or_its_slot() {
        let mut slots = CallSlots::new(2, 3);
        let (a, b) = (call("job", "a"), call("job", "b"));
        let [first, second, third] = [&a, &a, &b].map(|call| slots.ask(call).expect("the line is not full"));
        assert_eq!(slots.grant(), Some(first));
        assert!(!slots.withdraw(&a, first), "it runs");
        assert!(slots.withdraw(&a, second));
        assert_eq!(slots.grant(), None);
        slots.end(&a);
        assert_eq!(slots.grant(), Some(third));
    }
}
