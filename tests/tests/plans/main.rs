//! Every crash point, every fault of the API server and every watch event, enumerated from an undisturbed run, on a Kubernetes in
//! memory.
//!
//! Run by `make test`, or alone by `make faults`. [`suite`] names the variables that select plans.

use backstay_tests::faults::suite;

#[test]
fn every_fault_plan_ends_as_the_undisturbed_run_does() {
    suite::in_memory();
}
