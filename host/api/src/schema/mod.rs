//! OpenAPI v3 schemas of CRDs, as JSON: what the derives cannot say, and what the API server insists on.
//!
//! - [`field`]: schemas of fields that several kinds have;
//! - [`core_types`]: the schemas of `core/v1` types that a strategy's schema may refer to;
//! - [`references`]: puts them in place of `$ref`;
//! - [`pod`]: what a pod template in a strategy needs beyond the published schema;
//! - [`structural`]: makes a schema one that the API server accepts, or says where it is not.

pub(crate) mod field;
