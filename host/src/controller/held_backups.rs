//! Settles at the start which Backups the controller's finalizer holds.
//!
//! An earlier version may have held a Backup after which nothing is to be cleaned up, a component may have come that cleans up,
//! and a restore may have ended while no controller ran.

use std::sync::Arc;

use backstay_api::{Backup, finalizers};
use backstay_core::component::Served;
use backstay_core::retry;
use backstay_core::strategy_kind::strategy_kind;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::cluster::api::Api;
use crate::cluster::error::chain;
use crate::components::registry::Registry;
use crate::context::Context;
use crate::state::queues::{Kind, Request};

/// Enqueues each Backup that the finalizer holds in vain, or does not hold though it should. Ends when all were looked at, or with
/// `until`.
pub(super) async fn settle(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    if ctx.stores.backups.is_empty() {
        return;
    }
    let settled = async {
        let mut attempt = 0;
        while let Err(error) = look_at_all(&ctx).await {
            attempt += 1;
            tracing::warn!(attempt, error = %chain(&error), "finalizers of backups not settled, will try again");
            tokio::time::sleep(retry::backoff(attempt)).await;
        }
    };
    futures::pin_mut!(settled, until);
    futures::future::select(settled, until).await;
}

async fn look_at_all(ctx: &Context) -> Result<(), kube::Error> {
    let api = Api::<Backup>::all(ctx.cluster.client.clone());
    let look = |backup: Backup| {
        if is_held_wrongly(&backup, &ctx.components.registry) {
            ctx.state.queues.add(Request::new(Kind::Backup, &backup));
        }
    };
    // A Backup that does not decode is reported by its watch.
    api.each(&ListParams::default(), look).await
}

/// Returns whether the finalizer holds a Backup in vain, or does not hold it though its component cleans up. A Backup that is being
/// deleted is dealt with by its watch.
fn is_held_wrongly(backup: &Backup, registry: &Registry) -> bool {
    let Some(kind) = strategy_kind(&backup.spec.strategy_ref) else { return false };
    let Served::By(component) = registry.serving(&kind) else { return false };
    backup.metadata.deletion_timestamp.is_none()
        && are_wrong(backup.finalizers(), component.descriptor().traits.cleanup)
}

fn are_wrong(finalizers: &[String], cleans_up: bool) -> bool {
    if cleans_up {
        !finalizers.iter().any(|finalizer| finalizers::is_ours(finalizer))
    } else {
        // The Go implementation's finalizer stays: its controller would add it again.
        finalizers.iter().any(|finalizer| finalizer == finalizers::CLEANUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_held_wrongly_without_need_or_with_need_and_no_finalizer() {
        let held = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        for (names, in_vain, missing) in [
            (&["example.org/other"][..], false, true),
            (&[finalizers::CLEANUP], true, false),
            (&[finalizers::LEGACY_CLEANUP], false, false),
            (&[finalizers::LEGACY_CLEANUP, finalizers::CLEANUP], true, false),
        ] {
            assert_eq!(are_wrong(&held(names), false), in_vain, "{names:?}");
            assert_eq!(are_wrong(&held(names), true), missing, "{names:?}");
        }
    }
}
