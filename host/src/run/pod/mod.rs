//! A run that is one pod: its Job, and what the end of the Job means.

pub(crate) mod job;
pub(crate) mod verdict;

use backstay_core::contract::Request;

use super::not_done::NotDone;
use super::pinned::Pinned;
use super::request;
use crate::context::Context;
use crate::state::run::Run;
use crate::state::step_cache::BackupCache;

/// Builds the request of a call, with a Backup that is read anew.
async fn build_request(run: &Run, pinned: &Pinned, ctx: &Context) -> Result<Request, NotDone> {
    let (records, mut cache) = (&ctx.records.checkpoints, BackupCache::default());
    let now = ctx.clock.now();
    request::build(run, pinned, &mut cache, &ctx.cluster.client, &ctx.stores, records, now).await
}
