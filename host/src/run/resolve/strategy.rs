//! The strategy object that a run without a pinned revision uses.

use backstay_api::TypedRef;
use backstay_api::conditions::reasons;
use backstay_core::contract::{GroupKind, Pairs};
use backstay_core::revision::Revision;
use backstay_core::strategy_kind::waits_for_strategy;
use backstay_engine::Component;

use crate::cluster::error::ApiError;
use crate::context::Context;
use crate::run::not_done::NotDone;

/// Returns the strategy as it is now, with `parameters`. `source` names the object that refers to the strategy, for messages.
///
/// # Errors
/// The API server's; without the strategy, the run is blocked or fails, by the kind of strategy.
pub(super) async fn current(
    strategy: &TypedRef,
    kind: &GroupKind,
    component: &Component,
    parameters: Pairs,
    source: &str,
    ctx: &Context,
) -> Result<Revision, NotDone> {
    let served = component.descriptor().serves(kind).ok_or(NotDone::NotOurs)?;
    let found = ctx
        .stores
        .strategy(&ctx.cluster.client, served, &strategy.name)
        .await
        .map_err(|e| ApiError::new(format!("reading strategy {} {:?}", kind.kind, strategy.name), e))?;
    let Some(spec) = found else {
        if !waits_for_strategy(kind) {
            return Err(NotDone::failed(
                reasons::STRATEGY_NOT_FOUND,
                format!(
                    "{} strategy not found: {}; create it, or correct strategyRef in {source}",
                    kind.kind, strategy.name
                ),
            ));
        }
        let waited = ctx.settings.wait_deadline.as_secs();
        return Err(NotDone::Blocked {
            reason: reasons::STRATEGY_NOT_READY,
            message: format!(
                "Strategy {:?} referenced by {source} is not yet provisioned; the platform may still be initialising backup storage",
                strategy.name
            ),
            bounded: true,
            give_up: Some((
                reasons::STRATEGY_NOT_READY,
                format!(
                    "Strategy {:?} referenced by {source} was not provisioned within {}m{}s; check the strategyRef name or the platform backup-storage bootstrap",
                    strategy.name,
                    waited / 60,
                    waited % 60
                ),
            )),
        });
    };
    Ok(Revision { kind: kind.clone(), name: strategy.name.clone(), spec, parameters })
}
