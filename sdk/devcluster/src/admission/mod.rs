//! Admission: ValidatingAdmissionPolicies, LimitRanges, ResourceQuotas.

mod selector;

pub use selector::selects;
