//! The host's rules, on a real API server with a real node: one test a rule, named after it (R and F: the case numbers of
//! the lifecycle contract).

mod altinity;
mod backups;
mod bad_inputs;
mod endings;
mod inputs;
mod jobs;
mod plans;
mod pods;
mod program;
mod reach;
mod restores;
mod results;
mod steps;
mod strategies;
mod turns;
mod waits;
