//! Circles: sets of nodes in which each node leads to each other one.

use std::collections::{BTreeMap, BTreeSet};

/// Returns the strongly connected components of more than one node, each sorted, the largest first.
#[must_use]
pub fn circles<N: Ord + Clone>(arrows: impl IntoIterator<Item = (N, N)>) -> Vec<Vec<N>> {
    let mut graph: BTreeMap<N, BTreeSet<N>> = BTreeMap::new();
    for (from, to) in arrows {
        graph.entry(to.clone()).or_default();
        graph.entry(from).or_default().insert(to);
    }
    let reachable: BTreeMap<&N, BTreeSet<&N>> =
        graph.keys().map(|node| (node, reach(&graph, node))).collect();
    let mut circles = BTreeSet::new();
    for (node, seen) in &reachable {
        let circle: Vec<N> =
            seen.iter().filter(|other| reachable[*other].contains(node)).map(|n| (*n).clone()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    let mut circles: Vec<Vec<N>> = circles.into_iter().collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// Returns the nodes that `from` leads to.
fn reach<'g, N: Ord>(graph: &'g BTreeMap<N, BTreeSet<N>>, from: &N) -> BTreeSet<&'g N> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&N> = graph[from].iter().collect();
    while let Some(node) = open.pop() {
        if seen.insert(node) {
            open.extend(&graph[node]);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_and_what_leads_to_it_is_not_part_of_it() {
        let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "d")];
        assert_eq!(circles(arrows), [vec!["d", "e", "f"], vec!["b", "c"]]);
    }

    #[test]
    fn an_arrow_to_oneself_is_no_circle() {
        assert!(circles([("a", "a"), ("a", "b")]).is_empty());
    }
}
