//! One reconciler for each kind of object.

pub mod backup;
pub mod plan;
pub mod run;
pub mod strategy;
