//! Who asks, and whether they may: impersonation and RBAC.
