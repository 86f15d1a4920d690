//! The run begins: its inputs are written down, where tenants cannot change them, before anything is made from them.

use std::sync::Arc;

use backstay_api::conditions::{reasons, types};
use backstay_api::{ComponentPin, RunRecord};
use backstay_core::contract::Mode;
use backstay_core::status::seconds;
use jiff::SignedDuration;

use super::halt::Halt;
use super::object::Run;
use super::resolve::Inputs;
use super::resource;
use crate::api_error::ApiError;
use crate::context::Context;

/// Keeps the strategy's revision, then writes the beginning of the run.
pub(super) async fn begin(run: &mut Run, inputs: Inputs, ctx: &Arc<Context>) -> Result<(), Halt> {
    let now = ctx.clock.now();
    let revision = ctx.revisions.keep(&ctx.client, &ctx.settings.namespace, &inputs.revision).await?;
    let descriptor = inputs.component.descriptor();
    let longest = SignedDuration::from_secs(i64::from(descriptor.longest_run));
    let deadline = now.saturating_add(ctx.settings.run_deadline.min(longest)).unwrap_or(now);
    if resource::holds_on(run.mode, &inputs.component) {
        // Before anything is made that may have to be undone, or told to the next run.
        let before = run.resource_version.clone();
        run.resource_version = crate::finalizer::add_undo(run, &ctx.client).await?;
        if run.resource_version != before {
            run.undoes = true;
            ctx.runs.replaced(before, run);
        }
    }
    let (backup_ref, backup_uid) = inputs.backup.unzip();
    let record = RunRecord {
        application_ref: inputs.application,
        application_version: Some(inputs.application_ref.api_version),
        strategy_ref: Some(inputs.strategy_ref),
        parameters: (!inputs.revision.parameters.is_empty()).then_some(inputs.revision.parameters),
        component: Some(ComponentPin {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: inputs.component.digest().to_owned(),
        }),
        strategy_revision: Some(revision),
        deadline: Some(seconds(deadline)),
        job: None,
        backup_ref,
        backup_uid,
        options: inputs.options,
    };
    run.status.begin(record, now);
    if run.mode == Mode::Restore {
        let (pinned, reason, message) = if inputs.pinned {
            (true, reasons::STRATEGY_PINNED, "the strategy is the one of the time of the backup")
        } else {
            (false, reasons::NO_SNAPSHOT, "the Backup pins no strategy; the current one is used")
        };
        run.status.set(types::STRATEGY_PINNED, Some(pinned), reason, message, now);
    }
    let doing = format!("writing the beginning of {}", run.title());
    ctx.runs.write(run, &ctx.client).await.map_err(|e| ApiError::new(doing, e))?;
    Ok(())
}
