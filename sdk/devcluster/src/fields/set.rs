//! Sets of fields, as `fieldsV1` holds them.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Clone, Debug)]
pub(super) enum Element {
    /// A field of an object or an entry of a map.
    Field(String),
    /// An item of a list, by the values of its keys, in the order of their names.
    Key(Vec<(String, Value)>),
    /// An item of a list, by its value.
    Value(Value),
}

impl Element {
    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
        }
    }

    /// Returns the step that a member of `fieldsV1` names.
    fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => match serde_json::from_str(rest).ok()? {
                Value::Object(keys) => {
                    let mut keys: Vec<_> = keys.into_iter().collect();
                    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
                    Some(Self::Key(keys))
                }
                _ => None,
            },
            "v" => serde_json::from_str(rest).ok().map(Self::Value),
            _ => None,
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{}", Value::Object(keys.iter().cloned().collect::<Map<_, _>>())),
            Self::Value(value) => format!("v:{value}"),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Vec<_> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
        }
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element {}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Value(a), Self::Value(b)) => order(a, b),
            (Self::Key(a), Self::Key(b)) => {
                let pairs = a.iter().zip(b).map(|((m, x), (n, y))| m.cmp(n).then_with(|| order(x, y)));
                pairs.fold(Ordering::Equal, Ordering::then).then_with(|| a.len().cmp(&b.len()))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// Orders two values: numbers by what they are worth, all else by its text.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) if is_plain(a) && is_plain(b) => a.cmp(b),
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(x), Some(y)) => x.total_cmp(&y),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => a.to_string().cmp(&b.to_string()),
        },
    }
}

/// Whether a text is ordered among others as it is in quotes: nothing in it is escaped, or comes before the quote that ends it.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte > b'"' && byte != b'\\')
}

/// A set of fields: a tree whose nodes are in the set, or lead to some that are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Set {
    /// Whether the field itself is in the set.
    pub(super) member: bool,
    /// What is below it.
    pub(super) children: BTreeMap<Element, Set>,
}

impl Set {
    /// Returns the set that `fieldsV1` describes; none if it cannot be read.
    pub(super) fn read(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (name, below) in fields.as_object()? {
            if name == "." {
                set.member = true;
                continue;
            }
            let mut child = Self::read(below)?;
            child.member |= child.children.is_empty();
            set.children.insert(Element::read(name)?, child);
        }
        Some(set)
    }

    /// Returns it as `fieldsV1`.
    pub(super) fn write(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".to_owned(), Value::Object(Map::new()));
        }
        fields.extend(self.children.iter().map(|(element, below)| (element.write(), below.write())));
        Value::Object(fields)
    }

    /// Returns whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Puts a field into it. The root is never in a set.
    pub(super) fn insert(&mut self, path: &[Element]) {
        if path.is_empty() {
            return;
        }
        let mut node = self;
        for element in path {
            node = node.children.entry(element.clone()).or_default();
        }
        node.member = true;
    }

    /// Returns what is in either.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.add(other);
        both
    }

    /// Puts all that is in another into it.
    pub(super) fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, below) in &other.children {
            match self.children.get_mut(element) {
                Some(mine) => mine.add(below),
                None => drop(self.children.insert(element.clone(), below.clone())),
            }
        }
    }

    /// Takes all that is in another out of it.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (element, theirs) in &other.children {
            if let Some(mine) = self.children.get_mut(element) {
                mine.subtract(theirs);
                if mine.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    /// Returns what is in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.pick(other, self.member && other.member, |_| None, Self::intersection)
    }

    /// Returns what is in it and not in the other.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.subtract(other);
        rest
    }

    /// Returns it without what is in the other, and without all that is below that.
    pub(super) fn without(&self, other: &Self) -> Self {
        if other.member {
            return Self::default();
        }
        self.pick(other, self.member, |mine| Some(mine.clone()), Self::without)
    }

    fn pick(
        &self,
        other: &Self,
        member: bool,
        alone: fn(&Self) -> Option<Self>,
        both: fn(&Self, &Self) -> Self,
    ) -> Self {
        let children = self.children.iter().filter_map(|(element, mine)| {
            let kept = match other.children.get(element) {
                Some(theirs) => both(mine, theirs),
                None => alone(mine)?,
            };
            (!kept.is_empty()).then(|| (element.clone(), kept))
        });
        Self { member, children: children.collect() }
    }

    /// Returns the paths in it as text: of each node its members first, then what is below.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, before: &str, paths: &mut Vec<String>) {
        let members = self.children.iter().filter(|(_, below)| below.member);
        paths.extend(members.map(|(element, _)| format!("{before}{element}")));
        for (element, below) in &self.children {
            below.collect(&format!("{before}{element}"), paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(fields: &Value) -> Set {
        Set::read(fields).expect("a set")
    }

    #[test]
    fn a_set_is_written_as_it_was_read() {
        let fields = json!({"f:a": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:b": {}}, "v:\"x\"": {}}});
        assert_eq!(set(&fields).write(), fields);
    }

    #[test]
    fn fields_of_a_node_come_before_what_is_below() {
        let fields =
            json!({"f:a": {"f:b": {}}, "f:z": {}, "f:p": {"k:{\"port\":443}": {}, "k:{\"port\":80}": {}}});
        assert_eq!(set(&fields).paths(), [".z", ".a.b", ".p[port=80]", ".p[port=443]"]);
    }

    #[test]
    fn texts_are_ordered_as_they_are_written_in_json() {
        let texts = ["", "a", "a!", "a\"", "ab", "a b", "a\\", "a\n", "é", "z"];
        for a in texts {
            for b in texts {
                let (a, b) = (Value::from(a), Value::from(b));
                assert_eq!(order(&a, &b), a.to_string().cmp(&b.to_string()), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_difference_keeps_what_is_below_unless_asked() {
        let (all, less) = (set(&json!({"f:a": {".": {}, "f:b": {}}})), set(&json!({"f:a": {}})));
        assert_eq!(all.difference(&less).write(), json!({"f:a": {"f:b": {}}}));
        assert!(all.without(&less).is_empty());
    }
}
