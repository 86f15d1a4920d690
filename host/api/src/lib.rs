//! Kubernetes API types of Backstay: CRDs, conditions, labels and names.
