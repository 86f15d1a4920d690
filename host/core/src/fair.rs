//! A queue that parties share: each party with something in the queue has its turn, however much the others have in it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Items of parties. A party's items keep their order; the parties take turns.
#[derive(Debug)]
pub struct FairQueue<P, T> {
    lines: HashMap<P, Line<T>>,
    /// The parties with items, in the order of their turns.
    turns: BTreeMap<u64, P>,
    last_turn: u64,
}

#[derive(Debug)]
struct Line<T> {
    turn: u64,
    /// By their numbers, which grow in the order in which items come.
    items: BTreeMap<u64, T>,
}

impl<P, T> Default for FairQueue<P, T> {
    fn default() -> Self {
        Self { lines: HashMap::new(), turns: BTreeMap::new(), last_turn: 0 }
    }
}

impl<P: Clone + Eq + Hash, T> FairQueue<P, T> {
    /// Adds an item with a number that no other item has. A party that had none has its turn after all others.
    pub fn push(&mut self, party: P, number: u64, item: T) {
        if let Some(line) = self.lines.get_mut(&party) {
            line.items.insert(number, item);
            return;
        }
        self.last_turn += 1;
        self.turns.insert(self.last_turn, party.clone());
        self.lines.insert(party, Line { turn: self.last_turn, items: BTreeMap::from([(number, item)]) });
    }

    /// Removes an item. Turns stay as they are.
    pub fn remove(&mut self, party: &P, number: u64) -> Option<T> {
        let line = self.lines.get_mut(party)?;
        let item = line.items.remove(&number);
        if line.items.is_empty() {
            self.turns.remove(&line.turn);
            self.lines.remove(party);
        }
        item
    }

    /// Takes the first item of the first party that `may` have its turn; that party's next turn comes after all others.
    pub fn next(&mut self, may: impl Fn(&P) -> bool) -> Option<T> {
        let (party, number) = self.peek(may)?;
        self.take(&party, number)
    }

    /// Returns the party that has its turn next, and the number of its first item.
    pub fn peek(&self, may: impl Fn(&P) -> bool) -> Option<(P, u64)> {
        let party = self.turns.values().find(|party| may(party))?;
        Some((party.clone(), *self.lines.get(party)?.items.first_key_value()?.0))
    }

    /// Returns the number of the item that came first, and its party, among the parties that `may` have a turn.
    pub fn oldest(&self, may: impl Fn(&P) -> bool) -> Option<(P, u64)> {
        let first = |(party, line): (&P, &Line<T>)| Some((*line.items.first_key_value()?.0, party.clone()));
        let firsts = self.lines.iter().filter(|(party, _)| may(party)).filter_map(first);
        firsts.min_by_key(|(number, _)| *number).map(|(number, party)| (party, number))
    }

    /// Takes an item as the turn of its party.
    pub fn take(&mut self, party: &P, number: u64) -> Option<T> {
        let item = self.remove(party, number)?;
        if let Some(line) = self.lines.get_mut(party) {
            self.turns.remove(&line.turn);
            self.last_turn += 1;
            line.turn = self.last_turn;
            self.turns.insert(self.last_turn, party.clone());
        }
        Some(item)
    }

    /// Returns whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue with so many items of each party, one party after the other; an item is its party and its place there.
    fn given(parties: &[(&'static str, u64)]) -> FairQueue<&'static str, String> {
        let (mut queue, mut number) = (FairQueue::default(), 0);
        for (party, items) in parties {
            for item in 0..*items {
                number += 1;
                queue.push(*party, number, format!("{party}{item}"));
            }
        }
        queue
    }

    fn taken(queue: &mut FairQueue<&'static str, String>, items: usize) -> Vec<String> {
        std::iter::from_fn(|| queue.next(|_| true)).take(items).collect()
    }

    #[test]
    fn parties_take_turns_however_much_each_has() {
        let mut queue = given(&[("a", 10_000), ("b", 2), ("c", 1)]);
        assert_eq!(taken(&mut queue, 7), ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn a_party_that_comes_late_has_its_turn_after_one_of_each_other() {
        let mut queue = given(&[("a", 100), ("b", 100)]);
        assert_eq!(taken(&mut queue, 3), ["a0", "b0", "a1"]);
        queue.push("c", 1000, "c0".to_owned());
        assert_eq!(taken(&mut queue, 4), ["b1", "a2", "c0", "b2"]);
    }

    #[test]
    fn a_party_that_may_not_have_its_turn_is_passed_over_and_keeps_it() {
        let mut queue = given(&[("a", 2), ("b", 2)]);
        assert_eq!(queue.next(|party| *party != "a").as_deref(), Some("b0"));
        assert_eq!(queue.next(|_| false), None);
        assert_eq!(taken(&mut queue, 9), ["a0", "b1", "a1"]);
        assert!(queue.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn the_oldest_item_is_found_whoever_has_his_turn() {
        let mut queue = given(&[("a", 2), ("b", 1)]);
        assert_eq!(queue.next(|_| true).as_deref(), Some("a0"));
        assert_eq!(queue.peek(|_| true), Some(("b", 3)));
        assert_eq!(queue.oldest(|_| true), Some(("a", 2)));
        assert_eq!(queue.oldest(|party| *party != "a"), Some(("b", 3)));
    }

    #[test]
    fn an_item_that_is_removed_costs_its_party_no_turn() {
        let mut queue = given(&[("a", 2), ("b", 1)]);
        assert_eq!(queue.remove(&"a", 1).as_deref(), Some("a0"));
        assert_eq!(queue.remove(&"a", 1), None);
        assert_eq!(taken(&mut queue, 9), ["a1", "b0"]);
    }
}
