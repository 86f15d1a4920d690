//! The values of a Go template. The type of a value decides how it prints and which operations are allowed, so the
//! types that Go distinguishes are distinct here: `int` (literals) and `int64` (fields), maps of any values and of
//! strings, a missing key and a JSON null.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::time::Time;

/// A Go string: bytes, not necessarily UTF-8.
pub(super) type Text = Rc<[u8]>;

/// Maximum depth of a value to be printed, encoded or compared. Deeper values, and maps that contain themselves, are
/// errors.
pub(super) const MAX_NESTING: usize = 128;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// The value of a missing key. It prints `<no value>`, is false, and its fields are missing too.
    Missing,
    /// JSON null, or a nil in a list: like [`Value::Missing`], but reading a field of it is an error.
    Nil,
    Bool(bool),
    /// `int`: literals, lengths, range counters.
    Int(i64),
    /// `int64`: integers of the application, results of arithmetic.
    Int64(i64),
    /// `uint8`: an element of a string.
    Byte(u8),
    Float(f64),
    Str(Text),
    List(List),
    /// `map[string]interface {}`.
    Map(Rc<Map>),
    /// `map[string]string`.
    Texts(Rc<Texts>),
    Time(Time),
}

/// The Go type of a list's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elem {
    /// `interface {}`
    Any,
    /// `string`
    Str,
    /// `int`
    Int,
    /// `[]interface {}`
    List,
}

/// A slice. Without items it is Go's nil slice, which only JSON, `eq` and `deepEqual` tell from an empty one.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) elem: Elem,
    items: Option<Rc<Items>>,
}

#[derive(Debug)]
struct Items(Vec<Value>);

/// A map of any values, shared: `set` changes it for all its holders.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) nil: bool,
    pub(super) entries: RefCell<BTreeMap<Text, Value>>,
}

/// A map of strings.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) nil: bool,
    pub(super) entries: BTreeMap<Text, Text>,
}

impl List {
    pub(super) fn new(elem: Elem, items: Vec<Value>) -> Self {
        Self { elem, items: Some(Rc::new(Items(items))) }
    }

    pub(super) fn nil(elem: Elem) -> Self {
        Self { elem, items: None }
    }

    pub(super) fn items(&self) -> &[Value] {
        self.items.as_ref().map_or(&[], |items| &items.0)
    }

    pub(super) fn is_nil(&self) -> bool {
        self.items.is_none()
    }
}

impl Map {
    pub(super) fn of(entries: impl IntoIterator<Item = (Text, Value)>) -> Self {
        Self { nil: false, entries: RefCell::new(ordered(entries)) }
    }

    pub(super) fn nil() -> Self {
        Self { nil: true, entries: RefCell::default() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }
}

impl Value {
    pub(super) fn str(text: impl AsRef<[u8]>) -> Self {
        Value::Str(Rc::from(text.as_ref()))
    }

    pub(super) fn list(items: Vec<Value>) -> Self {
        Value::List(List::new(Elem::Any, items))
    }

    pub(super) fn strings<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Self {
        Value::List(List::new(Elem::Str, items.into_iter().map(Value::str).collect()))
    }

    pub(super) fn map(entries: impl IntoIterator<Item = (Text, Value)>) -> Self {
        Value::Map(Rc::new(Map::of(entries)))
    }

    pub(super) fn texts(entries: impl IntoIterator<Item = (Text, Text)>) -> Self {
        Value::Texts(Rc::new(Texts { nil: false, entries: ordered(entries) }))
    }

    /// Returns the Go type, as `%T` prints it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Missing | Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Int64(_) => "int64",
            Value::Byte(_) => "uint8",
            Value::Float(_) => "float64",
            Value::Str(_) => "string",
            Value::List(list) => match list.elem {
                Elem::Any => "[]interface {}",
                Elem::Str => "[]string",
                Elem::Int => "[]int",
                Elem::List => "[][]interface {}",
            },
            Value::Map(_) => "map[string]interface {}",
            Value::Texts(_) => "map[string]string",
            Value::Time(_) => "time.Time",
        }
    }

    /// Returns the Go kind, as `kindOf` names it.
    pub(super) fn kind_name(&self) -> &'static str {
        match self {
            Value::Missing | Value::Nil => "invalid",
            Value::List(_) => "slice",
            Value::Map(_) | Value::Texts(_) => "map",
            Value::Time(_) => "struct",
            other => other.type_name(),
        }
    }

    pub(super) fn is_nil(&self) -> bool {
        matches!(self, Value::Missing | Value::Nil)
    }

    /// Whether `if` and `and` treat the value as true.
    pub(super) fn truth(&self) -> bool {
        match self {
            Value::Missing | Value::Nil => false,
            Value::Bool(b) => *b,
            Value::Int(n) | Value::Int64(n) => *n != 0,
            Value::Byte(n) => *n != 0,
            Value::Float(f) => *f != 0.0,
            Value::Str(s) => !s.is_empty(),
            Value::List(list) => !list.items().is_empty(),
            Value::Map(map) => !map.entries.borrow().is_empty(),
            Value::Texts(map) => !map.entries.is_empty(),
            Value::Time(_) => true,
        }
    }

    /// Converts JSON: an integer literal in range becomes an `int64`, every other number a `float64`.
    pub(super) fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Value::Int64(i),
                None => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(s) => Value::str(s),
            serde_json::Value::Array(items) => Value::list(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(entries) => Value::map(
                entries.iter().map(|(key, value)| (Text::from(key.as_bytes()), Value::from_json(value))),
            ),
        }
    }

    /// Copies the value without sharing maps, so that `set` affects one string only.
    pub(super) fn deep_copy(&self) -> Self {
        match self {
            Value::List(list) => match &list.items {
                Some(items) => {
                    Value::List(List::new(list.elem, items.0.iter().map(Value::deep_copy).collect()))
                }
                None => self.clone(),
            },
            Value::Map(map) => {
                let entries = map.entries.borrow();
                let copy = ordered(entries.iter().map(|(key, value)| (key.clone(), value.deep_copy())));
                Value::Map(Rc::new(Map { nil: map.nil, entries: RefCell::new(copy) }))
            }
            other => other.clone(),
        }
    }
}

/// Inserts the entries one by one: collecting sorts them first, which costs a component more than it gains.
fn ordered<V>(entries: impl IntoIterator<Item = (Text, V)>) -> BTreeMap<Text, V> {
    let mut map = BTreeMap::new();
    for (key, value) in entries {
        map.insert(key, value);
    }
    map
}

// A template can nest lists as deep as its steps allow, so they are freed without recursion.

impl Drop for Items {
    fn drop(&mut self) {
        release(std::mem::take(&mut self.0));
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        release(self.entries.take().into_values().collect());
    }
}

fn release(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(List { items: Some(items), .. }) => {
                if let Ok(mut items) = Rc::try_unwrap(items) {
                    pending.append(&mut items.0);
                }
            }
            Value::Map(map) => {
                if let Ok(map) = Rc::try_unwrap(map) {
                    pending.extend(map.entries.take().into_values());
                }
            }
            _ => {}
        }
    }
}
