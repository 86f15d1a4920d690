//! The controller's rules, on a real API server with a real node. Test names begin with the rule's code (R and F: codes of
//! docs/rules.md).

mod admission;
mod altinity;
mod backups;
mod bad_inputs;
mod decode;
mod draining;
mod edits;
mod endings;
mod fairness;
mod inputs;
mod jobs;
mod plans;
mod pod_security;
mod pods;
mod program;
mod reach;
mod restores;
mod restricted;
mod results;
mod steps;
mod strategies;
mod turns;
mod waits;
