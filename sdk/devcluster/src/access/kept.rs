//! What bindings give to those who have asked, kept for as long as no object of RBAC changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::User;
use super::rbac::Grant;

/// How many users and namespaces are kept.
const MOST: usize = 4096;

/// What bindings give to users in namespaces, as of one state of the objects of RBAC.
#[derive(Clone, Debug, Default)]
pub struct Kept(RefCell<Inner>);

#[derive(Clone, Debug, Default)]
struct Inner {
    /// The number of that state.
    state: u64,
    /// By the user's name.
    users: BTreeMap<String, Vec<OfUser>>,
    count: usize,
}

/// What is kept of a user with these groups.
#[derive(Clone, Debug)]
struct OfUser {
    groups: Vec<String>,
    /// By namespace.
    grants: BTreeMap<String, Arc<[Grant]>>,
}

impl Kept {
    /// Returns it without what is of another state than this one. Numbers of states are never given twice.
    pub(crate) fn of_state(&self, state: u64) -> &Self {
        let mut inner = self.0.borrow_mut();
        if inner.state != state {
            *inner = Inner { state, ..Inner::default() };
        }
        self
    }

    /// Returns what is given to a user in a namespace, which is read if it is not known.
    pub(super) fn grants(
        &self,
        user: &User,
        namespace: &str,
        read: impl FnOnce() -> Arc<[Grant]>,
    ) -> Arc<[Grant]> {
        let known = self.0.borrow().find(user, namespace);
        known.unwrap_or_else(|| {
            let grants = read();
            self.0.borrow_mut().add(user, namespace, &grants);
            grants
        })
    }
}

impl Inner {
    fn find(&self, user: &User, namespace: &str) -> Option<Arc<[Grant]>> {
        let of_user = self.users.get(&user.name)?.iter().find(|one| one.groups == user.groups)?;
        of_user.grants.get(namespace).map(Arc::clone)
    }

    fn add(&mut self, user: &User, namespace: &str, grants: &Arc<[Grant]>) {
        if self.count == MOST {
            *self = Self { state: self.state, ..Self::default() };
        }
        self.count += 1;
        let named = self.users.entry(user.name.clone()).or_default();
        let grants = (namespace.to_owned(), Arc::clone(grants));
        match named.iter_mut().find(|one| one.groups == user.groups) {
            Some(of_user) => {
                of_user.grants.insert(grants.0, grants.1);
            }
            None => named.push(OfUser { groups: user.groups.clone(), grants: BTreeMap::from([grants]) }),
        }
    }
}
