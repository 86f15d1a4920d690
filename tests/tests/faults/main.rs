//! A tenth of the fault plans on a real API server; `tests/tests/plans` plays all of them in memory.
//!
//! Run by `make test`. `make faults-cluster` plays all of them there. [`suite`] names the variables that select plans.

use backstay_tests::faults::suite;

#[test]
fn every_fault_plan_ends_as_the_undisturbed_run_does() {
    suite::on_cluster();
}
