//! A Kubernetes API in memory, for trying and testing controllers.
//!
//! It knows Kubernetes and no program that uses it. It answers as kube-apiserver 1.34.4 does, and what a request asks for that it
//! does not model fails and names it. It is not for production: one process, one store in memory, no encryption.

pub mod access;
pub mod admission;
pub mod api;
pub mod client;
pub mod controllers;
pub mod fields;
pub mod keep;
pub mod kinds;
pub mod local;
pub mod schema;
pub mod status;
