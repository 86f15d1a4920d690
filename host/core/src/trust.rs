//! What a component may claim only if an administrator allows it by name.

use crate::contract::{Descriptor, StrategyKind};
use crate::steps::unguarded;

/// The components that an administrator trusts with more than others, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// May touch objects outside the tenants' namespaces that no guard ties to a tenant.
    pub unguarded: Vec<String>,
    /// May have the platform's credentials put into the namespaces of their runs.
    pub credentials: Vec<String>,
    /// May serve kinds of groups that are not their own.
    pub groups: Vec<String>,
}

/// A claim that nobody allowed.
#[derive(Clone, Debug, PartialEq)]
pub enum Untrusted<'a> {
    /// An access that no guard ties to a tenant.
    Unguarded(&'a crate::contract::Access),
    /// The platform's credentials.
    Credentials,
    /// A kind of a group that belongs to Backstay or Kubernetes.
    Group(&'a StrategyKind),
}

impl Trust {
    /// Returns the first claim of a component that it is not trusted with.
    #[must_use]
    pub fn refuses<'a>(&self, descriptor: &'a Descriptor) -> Option<Untrusted<'a>> {
        let name = &descriptor.name;
        let others = || descriptor.kinds.iter().find(|kind| is_reserved(&kind.group));
        let access = || unguarded(descriptor).filter(|_| !self.unguarded.contains(name));
        let credentials = descriptor.traits.credentials && !self.credentials.contains(name);
        let group = others().filter(|_| !self.groups.contains(name)).map(Untrusted::Group);
        group.or_else(|| access().map(Untrusted::Unguarded)).or(credentials.then_some(Untrusted::Credentials))
    }
}

/// Returns whether a group belongs to Backstay's own kinds or to Kubernetes, whose groups have no dot or end in `k8s.io` or
/// `kubernetes.io`. Kinds of strategies have groups of their authors, or `strategy.backups.cozystack.io`.
fn is_reserved(group: &str) -> bool {
    let within =
        |domain: &str| group == domain || group.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    matches!(group, "backups.cozystack.io" | "backstay.dev")
        || !group.contains('.')
        || within("k8s.io")
        || within("kubernetes.io")
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::contract::{Access, Scope, Verbs};

    fn descriptor(group: &str) -> Descriptor {
        let mut descriptor = crate::component::tests::descriptor("dump", "1.0.0", &[]);
        descriptor.kinds.iter_mut().for_each(|kind| group.clone_into(&mut kind.group));
        descriptor
    }

    fn named() -> Vec<String> {
        vec!["dump".to_owned()]
    }

    #[test]
    fn a_kind_of_a_group_of_backstay_or_kubernetes_is_refused_unless_allowed_by_name() {
        for group in [
            "backups.cozystack.io",
            "backstay.dev",
            "k8s.io",
            "rbac.authorization.k8s.io",
            "x.kubernetes.io",
            "apps",
            "batch",
        ] {
            let claimed = descriptor(group);
            assert!(matches!(Trust::default().refuses(&claimed), Some(Untrusted::Group(_))), "{group}");
            let others = Trust { groups: vec!["other".into()], ..Trust::default() };
            assert!(others.refuses(&claimed).is_some(), "{group}");
            assert_eq!(Trust { groups: named(), ..Trust::default() }.refuses(&claimed), None, "{group}");
        }
        for group in [
            "strategy.backups.cozystack.io",
            "strategy.example.org",
            "test.backstay.dev",
            "notk8s.io",
            "k8s.io.example.org",
        ] {
            assert_eq!(Trust::default().refuses(&descriptor(group)), None, "{group}");
        }
    }

    #[test]
    fn credentials_are_for_components_that_are_allowed_them_by_name() {
        let mut claimed = descriptor("strategy.example.org");
        claimed.traits.credentials = true;
        assert_eq!(Trust::default().refuses(&claimed), Some(Untrusted::Credentials));
        assert_eq!(Trust { credentials: named(), ..Trust::default() }.refuses(&claimed), None);
    }

    #[test]
    fn an_access_without_a_tie_is_allowed_by_name() {
        let mut claimed = descriptor("strategy.example.org");
        claimed.access.push(Access {
            group: String::new(),
            version: "v1".into(),
            kind: "Node".into(),
            plural: "nodes".into(),
            scope: Scope::Cluster,
            verbs: Verbs::default(),
            fields: vec![],
            guards: vec![],
        });
        assert!(matches!(Trust::default().refuses(&claimed), Some(Untrusted::Unguarded(_))));
        assert_eq!(Trust { unguarded: named(), ..Trust::default() }.refuses(&claimed), None);
    }
}
