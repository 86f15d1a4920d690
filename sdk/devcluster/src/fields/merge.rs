//! Two values compared, and merged, by their schema.

use serde_json::{Map, Value};

use super::{
    set::{Element, Set},
    shape::{Fields, Forms, List, Shape},
    typed::unfit,
};

/// What differs between an old value and a new one.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    /// Fields that are not there any more.
    pub(super) removed: Set,
    /// Fields with another value.
    pub(super) modified: Set,
    /// Fields that are new.
    pub(super) added: Set,
}

impl Comparison {
    /// Returns it without these fields and all below them.
    pub(super) fn without(&self, fields: &Set) -> Self {
        Self {
            removed: self.removed.without(fields),
            modified: self.modified.without(fields),
            added: self.added.without(fields),
        }
    }
}

/// Compares an old value with a new one.
pub(super) fn compare(shape: Shape, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    Comparing { found: &mut comparison }.values(shape, Some(old), Some(new), &mut Vec::new());
    comparison
}

fn nothing(map: Option<&Map<String, Value>>) -> bool {
    map.is_none_or(Map::is_empty)
}

/// Returns whether two values are the same; numbers by what they are worth.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if x.is_f64() != y.is_f64() => x.as_f64() == y.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

struct Comparing<'a> {
    found: &'a mut Comparison,
}

impl Comparing<'_> {
    fn values(&mut self, shape: Shape, old: Option<&Value>, new: Option<&Value>, path: &mut Vec<Element>) {
        let (before, after) = (shape.forms().of(old), shape.forms().of(new));
        let leaf = match (old, new) {
            (_, None) => self.form(&before, old, new, path),
            (None, _) => self.form(&after, old, new, path),
            _ if before.like(&after) => self.form(&after, old, new, path),
            _ => {
                self.form(&before, old, new, path);
                self.form(&after, old, new, path)
            }
        };
        match (leaf, old, new) {
            (false, None, _) => self.found.added.insert(path),
            (false, _, None) => self.found.removed.insert(path),
            _ => {}
        }
    }

    /// Compares by the first form that there is; returns whether the value was taken as a whole.
    fn form(
        &mut self,
        forms: &Forms,
        old: Option<&Value>,
        new: Option<&Value>,
        path: &mut Vec<Element>,
    ) -> bool {
        match (forms.map, forms.scalar, forms.list) {
            (Some(map), ..) => self.maps(&map, old, new, path),
            (_, Some(scalar), _) => {
                let unfit = |value: Option<&Value>| value.is_some_and(|value| unfit(scalar, value).is_some());
                !(unfit(old) && unfit(new)) && self.leaf(old, new, path)
            }
            (_, _, Some(list)) => self.lists(&list, old, new, path),
            _ => false,
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>, path: &[Element]) -> bool {
        match (old, new) {
            (None, _) => self.found.added.insert(path),
            (_, None) => self.found.removed.insert(path),
            (Some(old), Some(new)) if !same(old, new) => self.found.modified.insert(path),
            _ => {}
        }
        true
    }

    fn maps<'v>(
        &mut self,
        map: &Fields,
        old: Option<&'v Value>,
        new: Option<&'v Value>,
        path: &mut Vec<Element>,
    ) -> bool {
        let (mine, yours) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        if map.whole || nothing(mine) && nothing(yours) {
            return self.leaf(old, new, path);
        }
        let of = |map: Option<&'v Map<String, Value>>, name: &str| map.and_then(|map| map.get(name));
        let gone = mine.into_iter().flatten().filter(|(name, _)| of(yours, name).is_none());
        let new = yours.into_iter().flatten().map(|(name, value)| (name, of(mine, name), Some(value)));
        for (name, old, new) in gone.map(|(name, value)| (name, Some(value), None)).chain(new) {
            // Nothing is found in what has not changed.
            if old != new {
                path.push(Element::Field(name.clone()));
                self.values(map.entry(name), old, new, path);
                path.pop();
            }
        }
        false
    }

    fn lists(
        &mut self,
        list: &List,
        old: Option<&Value>,
        new: Option<&Value>,
        path: &mut Vec<Element>,
    ) -> bool {
        let (mine, yours) = (items(old), items(new));
        if list.whole() || mine.is_empty() && yours.is_empty() {
            return self.leaf(old, new, path);
        }
        let (mine, yours) = (known(list, mine), known(list, yours));
        let mut elements: Vec<_> = mine.iter().chain(&yours).map(|(element, _)| element).collect();
        elements.sort();
        elements.dedup();
        for element in elements {
            let (before, after) = (all(&mine, element), all(&yours, element));
            if before != after {
                path.push(element.clone());
                self.items(list, &before, &after, path);
                path.pop();
            }
        }
        false
    }

    fn items(&mut self, list: &List, old: &[&Value], new: &[&Value], path: &mut Vec<Element>) {
        match (old, new) {
            ([] | [_], [] | [_]) => self.values(list.items, old.first().copied(), new.first().copied(), path),
            ([_, _, ..], [_, _, ..]) => {
                if old.len() != new.len() || !old.iter().zip(new).all(|(a, b)| same(a, b)) {
                    self.found.modified.insert(path);
                }
            }
            ([_, _, ..], _) => {
                if let Some(new) = new.first() {
                    self.values(list.items, None, Some(new), path);
                }
                self.found.removed.insert(path);
            }
            _ => {
                if let Some(old) = old.first() {
                    self.values(list.items, Some(old), None, path);
                }
                self.found.added.insert(path);
            }
        }
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the items that are known by an element.
fn all<'v>(items: &[(Element, &'v Value)], element: &Element) -> Vec<&'v Value> {
    items.iter().filter(|(other, _)| other == element).map(|(_, item)| *item).collect()
}

fn known<'v>(list: &List, items: &'v [Value]) -> Vec<(Element, &'v Value)> {
    items.iter().filter_map(|item| Some((list.element(item).ok()?, item))).collect()
}

/// Merges what is applied into what is there.
pub(super) fn merge(shape: Shape, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let decides = if applied.is_some() { applied } else { live };
    let forms = shape.forms().of(decides);
    let leaf = || applied.or(live).cloned();
    match (forms.map, forms.scalar, forms.list) {
        (Some(map), ..) => {
            let (mine, yours) = (live.and_then(Value::as_object), applied.and_then(Value::as_object));
            if map.whole || nothing(mine) && nothing(yours) {
                return leaf();
            }
            let names = mine.into_iter().chain(yours).flat_map(Map::keys);
            let merged: Map<_, _> = names
                .filter_map(|name| {
                    let (mine, yours) =
                        (mine.and_then(|map| map.get(name)), yours.and_then(|map| map.get(name)));
                    Some((name.clone(), merge(map.entry(name), mine, yours)?))
                })
                .collect();
            (!merged.is_empty()).then_some(Value::Object(merged))
        }
        (None, None, Some(list))
            if !(list.whole() || items(live).is_empty() && items(applied).is_empty()) =>
        {
            let merged = weave(&list, &known(&list, items(live)), &known(&list, items(applied)));
            (!merged.is_empty()).then_some(Value::Array(merged))
        }
        _ => leaf(),
    }
}

/// Merges the items of a list: the order of what is applied holds, and items that only the live list has keep their places before the
/// shared items that follow them.
fn weave(list: &List, live: &[(Element, &Value)], applied: &[(Element, &Value)]) -> Vec<Value> {
    let find = |items: &[(Element, &Value)], element: &Element| {
        items.iter().find(|(other, _)| other == element).map(|(_, item)| (*item).clone())
    };
    let mut shared =
        applied.iter().map(|(element, _)| element).filter(|element| find(live, element).is_some());
    let mut next = shared.next();
    let (mut merged, mut done) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (live.iter().peekable(), applied.iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (None, None) => return merged,
            (Some((mine, _)), Some((yours, _))) if mine == yours => {
                done.push(mine);
                merged.extend(merge(list.items, find(live, mine).as_ref(), find(applied, mine).as_ref()));
                left.next();
                right.next();
                next = shared.next();
                continue;
            }
            (Some((mine, _)), Some(_))
                if find(applied, mine).is_some() && next.is_some_and(|next| next != mine) =>
            {
                left.next();
                continue;
            }
            (Some((mine, item)), _) => {
                if find(applied, mine).is_none() {
                    merged.extend(merge(list.items, Some(item), None));
                    left.next();
                    continue;
                }
                if done.contains(&mine) {
                    left.next();
                }
            }
            (None, Some(_)) => {}
        }
        if let Some((yours, _)) = right.next() {
            done.push(yours);
            merged.extend(merge(list.items, find(live, yours).as_ref(), find(applied, yours).as_ref()));
            if next == Some(yours) {
                next = shared.next();
            }
        }
    }
}
