//! The API server: requests, the store, lists and watches.
