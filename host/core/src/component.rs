//! Selects the component that serves a run (docs/rules.md F7, R9).

use semver::{Version, VersionReq};

use crate::contract::{Descriptor, GroupKind};

/// Whether a loaded component serves a strategy kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served<T> {
    /// This component serves the kind.
    By(T),
    /// No component serves the kind, but one serves another kind of its group: this controller reports it.
    Missing,
    /// No component serves the group: the run belongs to another controller and is left alone.
    Foreign,
}

/// Returns the component that serves a strategy kind, among the loaded ones.
pub fn serving<'a, T: Copy>(
    kind: &GroupKind,
    loaded: impl IntoIterator<Item = (T, &'a Descriptor)>,
) -> Served<T> {
    let mut found = Served::Foreign;
    for (component, descriptor) in loaded {
        if descriptor.serves(kind).is_some() {
            return Served::By(component);
        }
        if descriptor.kinds.iter().any(|k| k.group == kind.group) {
            found = Served::Missing;
        }
    }
    found
}

/// The component that made a Backup, as the Backup's status pins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin<'a> {
    /// Name of the component.
    pub name: &'a str,
    /// Version of the component.
    pub version: &'a str,
    /// Digest of the component's file.
    pub digest: &'a str,
}

/// Why the loaded component may not restore a Backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Another component made the Backup.
    #[error(
        "the Backup was made by component {pinned:?}, and {kind} is served by component {loaded:?} now: supply component {pinned:?}"
    )]
    OtherComponent {
        /// Name of the component that the Backup pins.
        pinned: String,
        /// Name of the loaded component.
        loaded: String,
        /// The strategy kind.
        kind: GroupKind,
    },
    /// The loaded component does not declare that it restores Backups of that version.
    #[error(
        "the Backup was made by component {name:?} {pinned}, and {loaded}, which is loaded, does not declare that it restores Backups of that version: supply version {pinned}, or one whose `restores` includes it"
    )]
    Version {
        /// Name of the component.
        name: String,
        /// Version that the Backup pins.
        pinned: String,
        /// Version of the loaded component.
        loaded: String,
    },
    /// The Backup names no component, and the loaded component does not restore such Backups.
    #[error(
        "the Backup names no component, and component {loaded:?} does not restore such Backups: supply one that does"
    )]
    Unpinned {
        /// Name of the loaded component.
        loaded: String,
    },
    /// The loaded component does not serve the mode.
    #[error("component {loaded:?} does not serve mode {mode:?}: supply one that does")]
    Mode {
        /// Name of the loaded component.
        loaded: String,
        /// The mode of the run.
        mode: &'static str,
    },
}

/// Checks that the component `loaded` may restore or clean up a Backup with this pin: its digest or version is the
/// pinned one, or it declares that it restores that version.
///
/// # Errors
/// The reason against it, and which component to supply.
pub fn may_restore(
    kind: &GroupKind,
    pin: Option<Pin<'_>>,
    loaded: &Descriptor,
    digest: &str,
) -> Result<(), Unfit> {
    let Some(pin) = pin else {
        return if loaded.traits.unpinned {
            Ok(())
        } else {
            Err(Unfit::Unpinned { loaded: loaded.name.clone() })
        };
    };
    if pin.digest == digest {
        return Ok(());
    }
    if pin.name != loaded.name {
        return Err(Unfit::OtherComponent {
            pinned: pin.name.to_owned(),
            loaded: loaded.name.clone(),
            kind: kind.clone(),
        });
    }
    let declared = Version::parse(pin.version).is_ok_and(|version| {
        loaded.restores.iter().any(|req| VersionReq::parse(req).is_ok_and(|req| req.matches(&version)))
    });
    if pin.version == loaded.version || declared {
        return Ok(());
    }
    Err(Unfit::Version {
        name: pin.name.to_owned(),
        pinned: pin.version.to_owned(),
        loaded: loaded.version.clone(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::contract::{StrategyKind, Traits};
    use serde_json::json;

    pub(crate) fn descriptor(name: &str, version: &str, restores: &[&str]) -> Descriptor {
        Descriptor {
            name: name.into(),
            version: version.into(),
            kinds: vec![StrategyKind {
                group: "g".into(),
                version: "v1".into(),
                kind: "Job".into(),
                plural: "jobs".into(),
                schema: json!({}),
                applications: vec![],
            }],
            parameters_schema: json!({}),
            options_schema: json!({}),
            access: vec![],
            namespaces: [].into(),
            stages: vec![],
            longest_run: 60,
            restores: restores.iter().map(|r| (*r).to_owned()).collect(),
            target_namespace_option: None,
            traits: Traits { restore: true, ..Traits::default() },
        }
    }

    fn kind(group: &str, kind: &str) -> GroupKind {
        GroupKind { group: group.into(), kind: kind.into() }
    }

    fn fit(pin: Option<Pin<'_>>, loaded: &Descriptor) -> Result<(), Unfit> {
        may_restore(&kind("g", "Job"), pin, loaded, "sha256:now")
    }

    #[test]
    fn f7_groups_that_nobody_serves_are_left_alone() {
        let job = descriptor("job", "1.0.0", &[]);
        assert_eq!(serving(&kind("g", "Job"), [(1, &job)]), Served::By(1));
        assert_eq!(serving(&kind("g", "Velero"), [(1, &job)]), Served::Missing);
        assert_eq!(serving(&kind("other", "Job"), [(1, &job)]), Served::Foreign);
    }

    #[test]
    fn r9_the_same_digest_restores_whatever_its_name() {
        let pin = Pin { name: "old-name", version: "0.1.0", digest: "sha256:now" };
        assert_eq!(fit(Some(pin), &descriptor("job", "9.0.0", &[])), Ok(()));
    }

    #[test]
    fn r9_a_newer_component_restores_what_it_declares() {
        let pin = Pin { name: "job", version: "1.2.3", digest: "sha256:then" };
        assert_eq!(fit(Some(pin), &descriptor("job", "1.2.3", &[])), Ok(()));
        assert_eq!(fit(Some(pin), &descriptor("job", "2.0.0", &["^1.1"])), Ok(()));
        assert!(matches!(fit(Some(pin), &descriptor("job", "2.0.0", &["^1.3"])), Err(Unfit::Version { .. })));
        assert!(matches!(
            fit(Some(pin), &descriptor("dump", "1.2.3", &["*"])),
            Err(Unfit::OtherComponent { .. })
        ));
    }

    #[test]
    fn a_backup_of_the_go_implementation_needs_a_component_that_says_so() {
        let mut loaded = descriptor("job", "1.0.0", &[]);
        assert!(matches!(fit(None, &loaded), Err(Unfit::Unpinned { .. })));
        loaded.traits.unpinned = true;
        assert_eq!(fit(None, &loaded), Ok(()));
    }
}
