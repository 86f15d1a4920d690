//! A run whose strategy takes steps on resources. [`wake`] is one round of it.

pub(crate) mod act;
pub(crate) mod budget;
pub(crate) mod calls;
pub(crate) mod checkpoint;
pub(crate) mod handover;
pub(crate) mod observe;
pub(crate) mod pods;
pub(crate) mod retry_budget;
pub(crate) mod scope;
pub(crate) mod wait;
pub(crate) mod wake;
