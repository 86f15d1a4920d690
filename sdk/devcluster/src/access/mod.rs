//! Who a client is, and what it may do: authentication, impersonation, RBAC and the reviews that tell of them.

mod defaults;
mod escalation;
mod impersonation;
mod kept;
mod rbac;
mod reviews;
mod rules;
#[cfg(test)]
mod tests;
mod tokens;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

pub use defaults::{controller_roles, first_roles};
pub use escalation::escalation;
pub use impersonation::{Denial, user};
pub use kept::Kept;
pub use rbac::authorize;
pub use reviews::review;
pub(crate) use tokens::Issued;
pub use tokens::Tokens;

use crate::schema::go;
use crate::status::Status;

/// What is stored, as far as access and admission look at it.
pub trait Objects {
    /// Returns an object; the namespace of what is cluster-wide is empty.
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;
    /// Returns all objects of a resource, or those of a namespace, in the order of their names.
    fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>>;
    /// Returns what is kept of the rights that the objects give, as they are now; none if nothing is kept.
    fn kept(&self) -> Option<&Kept> {
        None
    }
}

/// The API group of roles and bindings.
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
/// The group of all who are known.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// The group of all who are not.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Who sends no credentials.
pub(crate) const ANONYMOUS: &str = "system:anonymous";
/// The group that may do everything.
pub(crate) const MASTERS: &str = "system:masters";

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The uid, or empty.
    pub uid: String,
    /// The groups, in the order in which they were given.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Returns a user with these groups, who is authenticated.
    #[must_use]
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().chain([&AUTHENTICATED]).map(|group| (*group).to_owned()).collect();
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// Returns the administrator: a user in the group `system:masters`.
    #[must_use]
    pub fn administrator() -> Self {
        Self::new("admin", &[MASTERS])
    }

    /// Returns who sends no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// Returns the ServiceAccount of this namespace and name.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let of_namespace = format!("system:serviceaccounts:{namespace}");
        Self::new(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &["system:serviceaccounts", &of_namespace],
        )
    }

    /// Returns it as `userInfo`.
    #[must_use]
    pub fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }

    pub(crate) fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|other| other == group)
    }
}

/// What is asked for, as authorization sees it. A request for no resource has only a verb and a path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// The verb; of a path that is no resource the method in lower case.
    pub verb: &'a str,
    /// The namespace, or empty.
    pub namespace: &'a str,
    /// The group; empty is the core group.
    pub group: &'a str,
    /// The resource in the plural; empty for a path that is none.
    pub resource: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The name, or empty.
    pub name: &'a str,
    /// The path of what is no resource; empty for a resource.
    pub path: &'a str,
}

impl Attributes<'_> {
    /// Returns the resource with its subresource, as rules name it.
    fn combined(&self) -> Cow<'_, str> {
        if self.subresource.is_empty() {
            Cow::Borrowed(self.resource)
        } else {
            Cow::Owned(format!("{}/{}", self.resource, self.subresource))
        }
    }

    /// Returns the refusal with this text: 403, or what a refusal of a path looks like.
    #[must_use]
    pub fn forbidden(&self, text: &str) -> Status {
        forbidden(self.group, self.resource, self.name, text)
    }
}

/// Returns the 403 of an object, a resource or, without one, a path.
pub(crate) fn forbidden(group: &str, resource: &str, name: &str, text: &str) -> Status {
    let dot = if group.is_empty() || resource.is_empty() { "" } else { "." };
    let group_of = if resource.is_empty() { "" } else { group };
    let mut what = format!("{resource}{dot}{group_of}");
    if !name.is_empty() {
        what = format!("{what} {}", go::quote(name));
    }
    let space = if what.is_empty() { "" } else { " " };
    let details = [("name", name), ("group", group), ("kind", resource)];
    let details: serde_json::Map<_, _> = details
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    Status::new(
        403,
        "Forbidden",
        format!("{what}{space}is forbidden: {text}").trim_start_matches("is ").to_owned(),
    )
    .with(Value::Object(details))
}
