//! What is asked before an object is stored: admission policies, quotas, limit ranges.
