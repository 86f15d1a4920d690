//! Generated from `wit/v0.1`: both worlds share one set of types.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::all)] // generated code

pub(super) mod pod {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "pod-strategy",
    });
}

pub(super) mod resource {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "resource-strategy",
        with: {
            "backstay:strategy/types": super::pod::backstay::strategy::types,
            "backstay:strategy/log": super::pod::backstay::strategy::log,
        },
    });
}

pub(super) use pod::backstay::strategy::log;
pub(super) use pod::backstay::strategy::types;
