//! The contract's rules for a descriptor. They are checked once, at load, so that later code can rely on them.

use std::collections::BTreeSet;

use backstay_core::contract::{Access, Descriptor, Scope, Stage, StrategyKind};

use crate::lift::{At as _, ContractViolation, is_dns_label, rule};
use crate::limits::COMPONENT_NAME_BYTES;
use crate::world::World;

/// Checks the descriptor of a component of `world` against the contract. Its sizes were checked when it was read.
pub(crate) fn check(world: World, descriptor: &Descriptor) -> Result<(), ContractViolation> {
    let d = descriptor;
    rule(is_dns_label(&d.name) && d.name.len() <= COMPONENT_NAME_BYTES, || {
        format!("must be a DNS label of at most {COMPONENT_NAME_BYTES} bytes, is {:?}", d.name)
    })
    .at("name")?;
    semver::Version::parse(&d.version)
        .map(drop)
        .map_err(|e| {
            ContractViolation::rule(format!(
                "must be a semantic version such as 1.2.3, is {:?}: {e}",
                d.version
            ))
        })
        .at("version")?;
    each(&d.restores, |requirement| {
        semver::VersionReq::parse(requirement).map(drop).map_err(|e| {
            ContractViolation::rule(format!(
                "must be a Cargo version requirement such as >=1.2, is {requirement:?}: {e}"
            ))
        })
    })
    .at("restores")?;
    rule(d.longest_run > 0, || "must be 1 second or more".into()).at("longest-run")?;
    kinds(&d.kinds).at("kinds")?;
    if world == World::Pod {
        let none = || "must be empty for a pod-driver; export resource-driver to use it".to_owned();
        rule(d.access.is_empty(), none).at("access")?;
        rule(d.namespaces.is_empty(), none).at("namespaces")?;
        rule(d.stages.is_empty(), none).at("stages")?;
    }
    each(d.namespaces.values(), |name| {
        rule(is_dns_label(name), || format!("must hold names of namespaces, holds {name:?}"))
    })
    .at("namespaces")?;
    each(&d.access, |access| self::access(d, access)).at("access")?;
    stages(&d.stages).at("stages")
}

fn kinds(kinds: &[StrategyKind]) -> Result<(), ContractViolation> {
    rule(!kinds.is_empty(), || "must name at least one kind".into())?;
    let mut seen = BTreeSet::new();
    each(kinds, |k| {
        group(&k.group)
            .and_then(|()| rule(!k.group.is_empty(), || "must not be empty".into()))
            .at("group")?;
        version(&k.version).at("version")?;
        kind(&k.kind).at("kind")?;
        plural(&k.plural).at("plural")?;
        rule(seen.insert((&k.group, &k.kind)), || format!("must be unique, {:?} occurs twice", k.kind))
            .at("kind")?;
        each(&k.applications, |a| {
            group(&a.group).at("group")?;
            kind(&a.kind).at("kind")
        })
        .at("applications")
    })
}

fn access(descriptor: &Descriptor, access: &Access) -> Result<(), ContractViolation> {
    group(&access.group).at("group")?;
    version(&access.version).at("version")?;
    kind(&access.kind).at("kind")?;
    plural(&access.plural).at("plural")?;
    // The host decides by the kind which verbs are allowed, and reads objects by the plural: the two must agree.
    let core = |name: &str, of: &str| access.group.is_empty() && name == of;
    rule(core(&access.kind, "Secret") == core(&access.plural, "secrets"), || {
        format!("must be that of {}, is {:?}: kind Secret has plural secrets", access.kind, access.plural)
    })
    .at("plural")?;
    if let Scope::Named(name) = &access.scope {
        rule(descriptor.namespaces.contains_key(name), || {
            format!("must be in `namespaces`, {name:?} is not")
        })
        .at("scope")?;
    }
    rule(!(access.verbs.patch && access.fields.is_empty()), || "must name what patch may set".into())
        .at("fields")
}

fn stages(stages: &[Stage]) -> Result<(), ContractViolation> {
    let mut seen = BTreeSet::new();
    each(stages, |s| {
        rule(seen.insert((s.mode.as_str(), &s.name)), || {
            format!("must be unique in its mode, {:?} occurs twice in {}", s.name, s.mode.as_str())
        })
        .at("name")
    })
}

fn group(group: &str) -> Result<(), ContractViolation> {
    rule(group.is_empty() || group.split('.').all(is_dns_label), || {
        format!("must be an API group, is {group:?}")
    })
}

fn version(version: &str) -> Result<(), ContractViolation> {
    rule(is_dns_label(version), || format!("must be an API version such as v1alpha1, is {version:?}"))
}

fn kind(kind: &str) -> Result<(), ContractViolation> {
    let sound = kind.len() <= 63
        && kind.starts_with(|c: char| c.is_ascii_uppercase())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric());
    rule(sound, || format!("must be a kind in CamelCase, is {kind:?}"))
}

fn plural(plural: &str) -> Result<(), ContractViolation> {
    rule(is_dns_label(plural), || format!("must be a plural in lower case, is {plural:?}"))
}

fn each<T>(
    list: impl IntoIterator<Item = T>,
    mut check: impl FnMut(T) -> Result<(), ContractViolation>,
) -> Result<(), ContractViolation> {
    list.into_iter().enumerate().try_for_each(|(i, item)| check(item).nth(i))
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::{GroupKind, Mode, Traits, Verbs};
    use serde_json::json;

    use super::*;

    fn sound() -> Descriptor {
        Descriptor {
            name: "vault".into(),
            version: "1.2.3-rc.1".into(),
            kinds: vec![StrategyKind {
                group: "strategy.backups.cozystack.io".into(),
                version: "v1alpha1".into(),
                kind: "Vault".into(),
                plural: "vaults".into(),
                schema: json!({}),
                applications: vec![GroupKind { group: String::new(), kind: "Pod".into() }],
            }],
            parameters_schema: json!({}),
            options_schema: json!({}),
            access: vec![Access {
                group: String::new(),
                version: "v1".into(),
                kind: "Pod".into(),
                plural: "pods".into(),
                scope: Scope::Named("velero".into()),
                verbs: Verbs { get: true, ..Verbs::default() },
                fields: Vec::new(),
                guards: Vec::new(),
            }],
            namespaces: [("velero".to_owned(), "cozy-velero".to_owned())].into(),
            stages: vec![stage("gate"), stage("create")],
            longest_run: 3600,
            restores: vec![">=1.0, <2".into()],
            target_namespace_option: None,
            traits: Traits::default(),
        }
    }

    fn stage(name: &str) -> Stage {
        Stage { mode: Mode::Backup, name: name.into(), about: String::new(), keeps_checkpoint: false }
    }

    /// A way to break a descriptor, and the field that the error names.
    type Change = (&'static str, fn(&mut Descriptor));

    #[test]
    fn every_broken_rule_names_its_field() {
        assert_eq!(check(World::Resource, &sound()), Ok(()));
        let changes: &[Change] = &[
            ("name", |d| d.name = "Vault".into()),
            ("name", |d| d.name = "a".repeat(41)),
            ("version", |d| d.version = "1.2".into()),
            ("kinds", |d| d.kinds.clear()),
            ("kinds[0].group", |d| d.kinds[0].group = String::new()),
            ("kinds[0].version", |d| d.kinds[0].version = "V1".into()),
            ("kinds[0].kind", |d| d.kinds[0].kind = "vault".into()),
            ("kinds[0].plural", |d| d.kinds[0].plural = "Vaults".into()),
            ("kinds[1].kind", |d| d.kinds.push(d.kinds[0].clone())),
            ("kinds[0].applications[0].kind", |d| d.kinds[0].applications[0].kind = "pod".into()),
            ("access[0].scope", |d| d.namespaces.clear()),
            ("access[0].fields", |d| d.access[0].verbs.patch = true),
            ("access[0].group", |d| d.access[0].group = "Apps".into()),
            ("access[0].plural", |d| d.access[0].plural = "secrets".into()),
            ("access[0].plural", |d| d.access[0].kind = "Secret".into()),
            ("namespaces[0]", |d| drop(d.namespaces.insert("velero".into(), "Cozy".into()))),
            ("stages[2].name", |d| d.stages.push(stage("gate"))),
            ("longest-run", |d| d.longest_run = 0),
            ("restores[0]", |d| d.restores = vec!["newer".into()]),
        ];
        for (field, change) in changes {
            let mut descriptor = sound();
            change(&mut descriptor);
            let (found, rule) = check(World::Resource, &descriptor).unwrap_err().into_parts();
            assert_eq!(&found, field, "{rule}");
        }
    }

    #[test]
    fn a_pod_driver_declares_no_access_namespaces_or_stages() {
        let mut descriptor = sound();
        for (field, fix) in [
            ("access", (|d| d.access.clear()) as fn(&mut Descriptor)),
            ("namespaces", |d| d.namespaces.clear()),
            ("stages", |d| d.stages.clear()),
        ] {
            assert_eq!(check(World::Pod, &descriptor).unwrap_err().into_parts().0, field);
            fix(&mut descriptor);
        }
        assert_eq!(check(World::Pod, &descriptor), Ok(()));
    }
}
