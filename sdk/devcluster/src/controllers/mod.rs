//! The controllers of a cluster: Jobs, garbage, namespaces.
