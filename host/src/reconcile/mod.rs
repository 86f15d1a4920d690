//! One reconciler for each kind of object.

pub mod backup;
pub mod ended;
pub mod plan;
pub mod run;
pub mod strategy;
