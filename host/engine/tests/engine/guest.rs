//! Guests in WebAssembly text, compiled to components while the tests run.
//!
//! A guest is a core module with functions as text and answers as JSON, laid out in its memory by the canonical ABI. So a
//! test shows the answer of a guest, and can make it invalid.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{FlagsRepr, Resolve, SizeAlign, Type, TypeDefKind, WorldId, WorldItem};

/// Address of the first answer in a guest's memory.
const BASE: usize = 1024;

/// A guest under construction. Functions that a test does not set return a valid answer.
pub(crate) struct Guest {
    resolve: Resolve,
    sizes: SizeAlign,
    world: WorldId,
    driver: &'static str,
    version: &'static str,
    memory: Vec<u8>,
    descriptor: Value,
    bodies: BTreeMap<&'static str, String>,
    realloc: &'static str,
    extra: String,
    pages: usize,
}

impl Guest {
    /// Returns a guest of the pod world: renders `{"spec":{}}`, and returns an outcome without an artifact.
    pub(crate) fn pod() -> Self {
        Self::pod_at("0.1.0")
    }

    /// Returns a guest of the pod world for another version of the contract with the same text.
    pub(crate) fn pod_at(version: &'static str) -> Self {
        let mut guest = Self::new(version, "pod-strategy", "pod-driver");
        guest.answer("render", &json!({"ok": {"template": r#"{"spec":{}}"#, "backoff-limit": 2}}));
        guest.answer("parse", &json!({"ok": {"metadata": [["a", "1"], ["b", "2"]]}}));
        guest
    }

    /// Returns a guest in steps that is done at once, with an outcome.
    pub(crate) fn resource() -> Self {
        let mut guest = Self::new("0.1.0", "resource-strategy", "resource-driver");
        guest.descriptor["stages"] = json!([{"mode": "backup", "name": "gate", "about": "looks"}]);
        guest.answer("step", &json!({"decision": {"done": {}}}));
        guest
    }

    fn new(version: &'static str, world: &str, driver: &'static str) -> Self {
        let mut resolve = Resolve::default();
        let wit =
            include_str!("../../../../wit/v0.1/strategy.wit").replace("@0.1.0;", &format!("@{version};"));
        let package = resolve.push_str("strategy.wit", &wit).unwrap();
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        let mut sizes = SizeAlign::default();
        sizes.fill(&resolve).unwrap();
        let mut guest = Self {
            resolve,
            sizes,
            world,
            driver,
            version,
            memory: Vec::new(),
            descriptor: descriptor(),
            bodies: BTreeMap::new(),
            realloc: BUMP,
            extra: String::new(),
            pages: 2,
        };
        guest.answer("validate", &json!([]));
        guest
    }

    /// Changes the descriptor.
    pub(crate) fn descriptor(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.descriptor);
        self
    }

    /// Sets the constant answer of `function`. Absent fields are empty, none or zero.
    pub(crate) fn answers(mut self, function: &'static str, value: &Value) -> Self {
        self.answer(function, value);
        self
    }

    /// Sets the body of `function`, as text. It returns an address, as from [`Guest::put`].
    pub(crate) fn body(mut self, function: &'static str, text: impl Into<String>) -> Self {
        self.bodies.insert(function, text.into());
        self
    }

    /// Lays an answer of `function` out in memory, and returns its address.
    pub(crate) fn put(&mut self, function: &'static str, value: &Value) -> usize {
        let ty = self.result_of(function);
        self.store(&ty, value)
    }

    /// Adds functions, globals or tables to the module.
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.extra.push_str(text);
        self
    }

    /// Sets the body of the allocation function.
    pub(crate) fn realloc(mut self, text: &'static str) -> Self {
        self.realloc = text;
        self
    }

    /// Sets the initial pages of 64 KiB.
    pub(crate) fn pages(mut self, pages: usize) -> Self {
        self.pages = pages;
        self
    }

    /// Builds the component.
    pub(crate) fn build(mut self) -> Vec<u8> {
        let descriptor = std::mem::take(&mut self.descriptor);
        if !self.bodies.contains_key("describe") {
            self.answer("describe", &descriptor);
        }
        let text = self.module();
        let mut module = wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        data_section(&mut module, &self.memory);
        encode(&mut module, &self.resolve, self.world)
    }

    /// Returns the offsets, in the arguments of `step`, of the lengths of answers and results, and of the checkpoint's flag.
    pub(crate) fn view_offsets(&self) -> (usize, usize, usize) {
        let at = |name| self.offset("step", 1, name);
        (at("answers") + 4, at("results") + 4, at("checkpoint"))
    }

    /// Returns the offset, in the arguments of `function`, of a field of the argument with this index.
    pub(crate) fn offset(&self, function: &str, argument: usize, name: &str) -> usize {
        let function = self.function(function);
        let params = self.sizes.field_offsets(function.params.iter().map(|p| &p.ty));
        let (begin, ty) = params[argument];
        let Type::Id(id) = *ty else { panic!("{ty:?}") };
        let mut kind = &self.resolve.types[id].kind;
        while let TypeDefKind::Type(Type::Id(alias)) = kind {
            kind = &self.resolve.types[*alias].kind;
        }
        let TypeDefKind::Record(record) = kind else { panic!("{}", kind.as_str()) };
        let offsets = self.sizes.field_offsets(record.fields.iter().map(|f| &f.ty));
        let field = record.fields.iter().position(|f| f.name == name).unwrap();
        (begin + offsets[field].0).size_wasm32()
    }

    /// Returns the type of what `function` returns.
    pub(crate) fn answer_type(&self, function: &str) -> (&Resolve, Type) {
        (&self.resolve, self.result_of(function))
    }

    /// Lays bytes out in memory, and returns their address.
    pub(crate) fn bytes(&mut self, align: usize, bytes: &[u8]) -> usize {
        self.append(align, bytes)
    }

    fn answer(&mut self, function: &'static str, value: &Value) {
        let at = self.put(function, value);
        self.bodies.insert(function, format!("(i32.const {at})"));
    }

    fn module(&self) -> String {
        let heap = BASE + self.memory.len();
        let mut functions = String::new();
        for (name, body) in &self.bodies {
            let interface = if matches!(*name, "describe" | "validate") { "about" } else { self.driver };
            let params = match *name {
                "describe" => "",
                "validate" => "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)",
                _ => "(param $args i32)",
            };
            write!(
                functions,
                r#"(func (export "backstay:strategy/{interface}@{version}#{name}") {params} (result i32) {body})"#,
                version = self.version
            )
            .unwrap();
        }
        format!(
            r#"(module
                (import "backstay:strategy/log@{version}" "write" (func $log (param i32 i32 i32)))
                (memory (export "memory") {pages})
                (global $heap (mut i32) (i32.const {heap}))
                (func (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32)
                  (result i32) (local $at i32) {realloc})
                {extra}
                {functions})"#,
            pages = self.pages.max(heap.div_ceil(1 << 16)),
            version = self.version,
            realloc = self.realloc,
            extra = self.extra,
        )
    }

    fn result_of(&self, function: &str) -> Type {
        self.function(function).result.unwrap()
    }

    fn function(&self, function: &str) -> &wit_parser::Function {
        let exports = self.resolve.worlds[self.world].exports.values();
        let interfaces = exports.filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(&self.resolve.interfaces[*id]),
            _ => None,
        });
        let mut functions = interfaces.flat_map(|i| i.functions.get(function));
        functions.next().unwrap_or_else(|| panic!("no function {function}"))
    }

    /// Lays `value` out, and returns its address.
    fn store(&mut self, ty: &Type, value: &Value) -> usize {
        let mut bytes = vec![0; self.sizes.size(ty).size_wasm32()];
        self.write(ty, value, &mut bytes);
        self.append(self.sizes.align(ty).align_wasm32(), &bytes)
    }

    fn append(&mut self, align: usize, bytes: &[u8]) -> usize {
        self.memory.resize(self.memory.len().next_multiple_of(align), 0);
        let at = BASE + self.memory.len();
        self.memory.extend_from_slice(bytes);
        at
    }

    fn write(&mut self, ty: &Type, value: &Value, to: &mut [u8]) {
        let number = || value.as_i64().or_else(|| value.as_u64().map(u64::cast_signed)).unwrap_or_default();
        match ty {
            Type::Bool => to[0] = u8::from(value.as_bool().unwrap_or_default()),
            Type::U8 | Type::S8 => to[0] = number().to_le_bytes()[0],
            Type::U32 | Type::S32 => to.copy_from_slice(&number().to_le_bytes()[..4]),
            Type::U64 | Type::S64 => to.copy_from_slice(&number().to_le_bytes()),
            Type::String => {
                let bytes = match value {
                    Value::String(text) => text.clone().into_bytes(),
                    // An invalid string: `{"bytes": […]}`.
                    Value::Object(raw) if raw.contains_key("bytes") => {
                        serde_json::from_value(raw["bytes"].clone()).unwrap()
                    }
                    _ => Vec::new(),
                };
                let at = if bytes.is_empty() { 0 } else { self.append(1, &bytes) };
                pointer(value, at, bytes.len(), to);
            }
            Type::Id(id) => {
                let kind = self.resolve.types[*id].kind.clone();
                self.write_kind(&kind, value, to);
            }
            other => panic!("{other:?} is not in the contract"),
        }
    }

    fn write_kind(&mut self, kind: &TypeDefKind, value: &Value, to: &mut [u8]) {
        match kind {
            TypeDefKind::Type(ty) => self.write(ty, value, to),
            TypeDefKind::Record(record) => {
                let offsets = self.sizes.field_offsets(record.fields.iter().map(|f| &f.ty));
                let offsets: Vec<_> = offsets.into_iter().map(|(at, ty)| (at.size_wasm32(), *ty)).collect();
                let unknown = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .find(|(k, _)| record.fields.iter().all(|f| f.name != **k));
                assert!(unknown.is_none(), "no such field: {unknown:?}");
                for (field, (at, ty)) in record.fields.iter().zip(offsets) {
                    let size = self.sizes.size(&ty).size_wasm32();
                    self.write(&ty, &value[&field.name], &mut to[at..at + size]);
                }
            }
            TypeDefKind::Tuple(tuple) => {
                let offsets = self.sizes.field_offsets(&tuple.types);
                let offsets: Vec<_> = offsets.into_iter().map(|(at, ty)| (at.size_wasm32(), *ty)).collect();
                for (i, (at, ty)) in offsets.into_iter().enumerate() {
                    let size = self.sizes.size(&ty).size_wasm32();
                    self.write(&ty, &value[i], &mut to[at..at + size]);
                }
            }
            TypeDefKind::List(ty) => {
                let items = value.as_array().cloned().unwrap_or_default();
                let size = self.sizes.size(ty).size_wasm32();
                let mut bytes = vec![0; size * items.len()];
                for (item, slot) in items.iter().zip(bytes.chunks_mut(size)) {
                    self.write(ty, item, slot);
                }
                let align = self.sizes.align(ty).align_wasm32();
                let at = if items.is_empty() { align } else { self.append(align, &bytes) };
                pointer(value, at, items.len(), to);
            }
            TypeDefKind::Option(ty) => {
                if !value.is_null() {
                    self.write_case(1, [Some(ty)], Some(ty), value, to);
                }
            }
            TypeDefKind::Result(result) => {
                let cases = [result.ok.as_ref(), result.err.as_ref()];
                let (tag, payload) =
                    value.get("ok").map_or_else(|| (1, &value["err"]), |payload| (0, payload));
                self.write_case(tag, cases, cases[usize::from(tag)], payload, to);
            }
            TypeDefKind::Enum(cases) => {
                let name = value.as_str();
                to[0] = name.map_or(0, |n| index(cases.cases.iter().map(|c| &c.name), n));
            }
            TypeDefKind::Variant(variant) => {
                let (name, payload) = match value {
                    Value::String(name) => (name.as_str(), &Value::Null),
                    Value::Object(map) => map.iter().next().map(|(k, v)| (k.as_str(), v)).unwrap(),
                    _ => (variant.cases[0].name.as_str(), &Value::Null),
                };
                let tag = index(variant.cases.iter().map(|c| &c.name), name);
                let cases: Vec<_> = variant.cases.iter().map(|c| c.ty).collect();
                let chosen = cases.get(usize::from(tag)).and_then(Option::as_ref);
                self.write_case(tag, cases.iter().map(Option::as_ref), chosen, payload, to);
            }
            TypeDefKind::Flags(flags) => {
                let mut bits = 0u32;
                for name in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    bits |= 1 << index(flags.flags.iter().map(|f| &f.name), name);
                }
                assert!(matches!(flags.repr(), FlagsRepr::U8 | FlagsRepr::U16));
                let size = to.len();
                to.copy_from_slice(&bits.to_le_bytes()[..size]);
            }
            other => panic!("{} is not in the contract", other.as_str()),
        }
    }

    fn write_case<'a>(
        &mut self,
        tag: u8,
        cases: impl IntoIterator<Item = Option<&'a Type>>,
        chosen: Option<&Type>,
        payload: &Value,
        to: &mut [u8],
    ) {
        to[0] = tag;
        let at = self.sizes.payload_offset(wit_parser::Int::U8, cases).size_wasm32();
        if let Some(ty) = chosen {
            let size = self.sizes.size(ty).size_wasm32();
            self.write(ty, payload, &mut to[at..at + size]);
        }
    }
}

/// Appends a section with one segment of data at [`BASE`]: as text it would be slow to parse.
fn data_section(module: &mut Vec<u8>, data: &[u8]) {
    let leb = |mut value: usize| {
        let mut bytes = Vec::new();
        loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            bytes.push(if value == 0 { byte } else { byte | 0x80 });
            if value == 0 {
                return bytes;
            }
        }
    };
    // One active segment of memory 0, at a constant address: a signed LEB128, in which a sixth bit set would be a sign.
    let mut body = vec![1, 0, 0x41];
    body.extend([(BASE & 0x7f) as u8 | 0x80, (BASE >> 7) as u8, 0x0b]);
    body.extend(leb(data.len()));
    body.extend_from_slice(data);
    module.push(11);
    module.extend(leb(body.len()));
    module.extend(body);
}

/// Returns pointer and length of a value; `{"at": …, "len": …}` forges them.
fn pointer(value: &Value, at: usize, len: usize, to: &mut [u8]) {
    let lie = |name, truth: usize| value.get(name).and_then(Value::as_u64).unwrap_or(truth as u64) as u32;
    to[..4].copy_from_slice(&lie("at", at).to_le_bytes());
    to[4..8].copy_from_slice(&lie("len", len).to_le_bytes());
}

fn index<'a>(names: impl Iterator<Item = &'a String>, name: &str) -> u8 {
    // A case that does not exist: `#<number>`.
    if let Some(number) = name.strip_prefix('#') {
        return number.parse().unwrap();
    }
    let found = names.into_iter().position(|n| n == name);
    found.unwrap_or_else(|| panic!("no such case: {name}")) as u8
}

/// Builds a component of a module for `world`.
pub(crate) fn encode(module: &mut Vec<u8>, resolve: &Resolve, world: WorldId) -> Vec<u8> {
    wit_component::embed_component_metadata(module, resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}

/// Builds a component of `module` for the world `world` of a WIT text.
pub(crate) fn foreign(wit: &str, world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("foreign.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    encode(&mut wat::parse_str(module).unwrap(), &resolve, world)
}

/// An allocation function that never frees memory.
const BUMP: &str = "
    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                               (i32.sub (i32.const 0) (local.get $align))))
    (local.set $at (global.get $heap))
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))
    (block $enough
      (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $enough (i32.ne (i32.const -1) (memory.grow
        (i32.add (i32.const 1) (i32.shr_u (i32.sub (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                                          (i32.const 16))))))
      unreachable)
    (local.get $at)";

fn descriptor() -> Value {
    json!({
        "name": "guest",
        "version": "1.0.0",
        "kinds": [{
            "group": "strategy.backups.cozystack.io",
            "version": "v1alpha1",
            "kind": "Guest",
            "plural": "guests",
            "schema": r#"{"type":"object"}"#,
        }],
        "parameters-schema": "{}",
        "options-schema": "{}",
        "longest-run": 3600,
        "traits": ["restore", "cleanup"],
    })
}
