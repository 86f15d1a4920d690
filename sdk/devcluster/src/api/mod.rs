//! The API server: requests, the store, lists and watches.
//!
//! [`ApiServer`] is a `tower::Service`, so that a client in the same process can use it, and it can listen at an address. Each
//! request is handled whole under one lock; what waits (watches, a version of the future) waits outside it.

mod answer;
mod body;
mod call;
mod clock;
mod create;
mod decode;
mod definitions;
mod delete;
mod direct;
mod discovery;
mod errors;
mod events;
mod fading;
mod kind;
mod list;
mod listen;
mod logs;
mod meta;
mod negotiate;
mod openapi;
mod options;
mod patch;
mod paths;
mod protection;
mod replay;
mod request;
mod resource;
mod rights;
mod select;
mod service;
mod snapshot;
mod state;
mod store;
mod text;
mod update;
mod view;
mod watch;
mod yaml;

pub use body::Body;
pub use clock::{Clock, TokioClock};
pub use direct::{NoPlace, Selector, Served};
pub use listen::{Listening, kubeconfig};
pub use logs::{LogOptions, Logs};
pub use replay::{Asked, Change, Replay};
pub(crate) use resource::Resource;
pub use service::{ApiServer, Credentials, Options};
pub use snapshot::Snapshot;
#[cfg(test)]
pub(crate) use store::{Change as StoredChange, Stored};

/// Returns bytes in base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
