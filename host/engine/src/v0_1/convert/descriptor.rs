//! The answer of `describe`.

use backstay_core::contract as c;

use super::super::bindings::types as w;
use super::Lift;
use crate::lift::{Answer, At as _, ContractViolation};
use crate::limits::{ACCESSES, JSON_BYTES, KINDS, STAGES};

impl Lift for w::Descriptor {
    type To = c::Descriptor;

    fn lift(self, answer: &mut Answer) -> Result<c::Descriptor, ContractViolation> {
        Ok(c::Descriptor {
            name: answer.name(self.name).at("name")?,
            version: answer.name(self.version).at("version")?,
            kinds: answer.list(self.kinds, KINDS, |answer, k| k.lift(answer)).at("kinds")?,
            parameters_schema: answer.object(self.parameters_schema, JSON_BYTES).at("parameters-schema")?,
            options_schema: answer.object(self.options_schema, JSON_BYTES).at("options-schema")?,
            access: answer.list(self.access, ACCESSES, |answer, a| a.lift(answer)).at("access")?,
            namespaces: answer.pairs(self.namespaces).at("namespaces")?,
            stages: answer.list(self.stages, STAGES, |answer, s| s.lift(answer)).at("stages")?,
            longest_run: self.longest_run,
            restores: answer.short_list(self.restores, Answer::name).at("restores")?,
            target_namespace_option: self
                .target_namespace_option
                .map(|option| answer.name(option))
                .transpose()
                .at("target-namespace-option")?,
            traits: traits(self.traits),
        })
    }
}

fn traits(traits: w::Traits) -> c::Traits {
    let has = |flag| traits.contains(flag);
    c::Traits {
        restore: has(w::Traits::RESTORE),
        cleanup: has(w::Traits::CLEANUP),
        cancel: has(w::Traits::CANCEL),
        credentials: has(w::Traits::CREDENTIALS),
        strategy_on_restore: has(w::Traits::STRATEGY_ON_RESTORE),
        unpinned: has(w::Traits::UNPINNED),
    }
}

impl Lift for w::StrategyKind {
    type To = c::StrategyKind;

    fn lift(self, answer: &mut Answer) -> Result<c::StrategyKind, ContractViolation> {
        Ok(c::StrategyKind {
            group: answer.name(self.group).at("group")?,
            version: answer.name(self.version).at("version")?,
            kind: answer.name(self.kind).at("kind")?,
            plural: answer.name(self.plural).at("plural")?,
            schema: answer.object(self.schema, JSON_BYTES).at("schema")?,
            applications: answer
                .short_list(self.applications, |answer, k| k.lift(answer))
                .at("applications")?,
        })
    }
}

impl Lift for w::GroupKind {
    type To = c::GroupKind;

    fn lift(self, answer: &mut Answer) -> Result<c::GroupKind, ContractViolation> {
        Ok(c::GroupKind {
            group: answer.name_or_empty(self.group).at("group")?,
            kind: answer.name(self.kind).at("kind")?,
        })
    }
}

impl Lift for w::Access {
    type To = c::Access;

    fn lift(self, answer: &mut Answer) -> Result<c::Access, ContractViolation> {
        Ok(c::Access {
            group: answer.name_or_empty(self.group).at("group")?,
            version: answer.name(self.version).at("version")?,
            kind: answer.name(self.kind).at("kind")?,
            plural: answer.name(self.plural).at("plural")?,
            scope: match self.scope {
                w::Scope::Run => c::Scope::Run,
                w::Scope::Target => c::Scope::Target,
                w::Scope::Cluster => c::Scope::Cluster,
                w::Scope::Named(name) => c::Scope::Named(answer.name(name).at("scope")?),
            },
            verbs: verbs(self.verbs),
            fields: answer.short_list(self.fields, Answer::pointer).at("fields")?,
            guards: answer.short_list(self.guards, |answer, g| g.lift(answer)).at("guards")?,
        })
    }
}

fn verbs(verbs: w::Verbs) -> c::Verbs {
    let has = |flag| verbs.contains(flag);
    c::Verbs {
        get: has(w::Verbs::GET),
        list: has(w::Verbs::LIST),
        watch: has(w::Verbs::WATCH),
        create: has(w::Verbs::CREATE),
        dry_run: has(w::Verbs::DRY_RUN),
        apply: has(w::Verbs::APPLY),
        patch: has(w::Verbs::PATCH),
        delete: has(w::Verbs::DELETE),
        purge: has(w::Verbs::PURGE),
        logs: has(w::Verbs::LOGS),
        keys: has(w::Verbs::KEYS),
    }
}

impl Lift for w::Guard {
    type To = c::Guard;

    fn lift(self, answer: &mut Answer) -> Result<c::Guard, ContractViolation> {
        Ok(c::Guard { at: answer.pointer(self.at).at("at")?, value: answer.message(self.value).at("value")? })
    }
}

impl Lift for w::Stage {
    type To = c::Stage;

    fn lift(self, answer: &mut Answer) -> Result<c::Stage, ContractViolation> {
        Ok(c::Stage {
            mode: match self.mode {
                w::Mode::Backup => c::Mode::Backup,
                w::Mode::Restore => c::Mode::Restore,
                w::Mode::Cleanup => c::Mode::Cleanup,
            },
            name: answer.name(self.name).at("name")?,
            about: answer.message(self.about).at("about")?,
            keeps_checkpoint: self.keeps_checkpoint,
        })
    }
}
