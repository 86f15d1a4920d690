//! The generic Job strategy: a backup that is one run of a pod.
