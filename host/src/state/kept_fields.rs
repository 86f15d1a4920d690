//! The fields of our kinds that the API server does not keep: somebody installed CRDs of another version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics::Metrics;

const REMEDY: &str = "the installed CRDs are of another version; nothing begins until those of this controller are back (backstay crds | kubectl apply --server-side --force-conflicts -f -), so see who installs the others";
/// Most fields that a message names.
const NAMED: usize = 8;

/// The fields that are not kept, by kind. Nothing that depends on them begins.
pub struct KeptFields {
    dropped: Mutex<BTreeMap<String, BTreeSet<String>>>,
    changed: Notify,
    metrics: Arc<Metrics>,
}

impl KeptFields {
    /// Every field is kept, as far as is known.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { dropped: Mutex::default(), changed: Notify::new(), metrics }
    }

    /// Waits until a field is known not to be kept.
    pub async fn outdated(&self) {
        while self.complaint(&[]).is_none() {
            self.changed.notified().await;
        }
    }

    /// Notes which fields of a kind the schema of the API server lacks, in place of what was known. Returns whether that has
    /// changed.
    pub fn probed(&self, kind: &str, missing: BTreeSet<String>) -> bool {
        let mut dropped = self.dropped.lock();
        if dropped.get(kind).map_or(missing.is_empty(), |known| *known == missing) {
            return false;
        }
        self.metrics.fields_not_kept(kind, missing.len());
        if !missing.is_empty() {
            tracing::error!(kind, fields = ?missing, "the API server does not keep these fields: {REMEDY}");
        }
        dropped.insert(kind.to_owned(), missing);
        self.changed.notify_one();
        true
    }

    /// Notes fields that are missing in the answer to a write.
    pub fn written(&self, kind: &str, missing: &BTreeSet<String>) {
        let known = self.dropped.lock().get(kind).cloned().unwrap_or_default();
        // A field is missing where one above it is.
        let covered = |field: &str| known.iter().any(|k| field == k || field.starts_with(&format!("{k}.")));
        if missing.iter().any(|field| !covered(field)) {
            self.probed(kind, known.union(missing).cloned().collect());
        }
    }

    /// Returns a sentence that names the fields of these kinds that are not kept, and the remedy; `None` if all are kept.
    #[must_use]
    pub fn complaint(&self, kinds: &[&str]) -> Option<String> {
        let dropped = self.dropped.lock();
        let of_kinds = dropped.iter().filter(|(kind, _)| kinds.is_empty() || kinds.contains(&kind.as_str()));
        let fields: Vec<_> =
            of_kinds.flat_map(|(kind, fields)| fields.iter().map(move |f| format!("{kind} {f}"))).collect();
        if fields.is_empty() {
            return None;
        }
        let more = match fields.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = fields.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        Some(format!("the API server does not keep {named}{more}: {REMEDY}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn fields_that_are_not_kept_are_named_until_a_probe_finds_them() {
        let kept = KeptFields::new(Arc::default());
        assert_eq!(kept.complaint(&[]), None);
        assert!(kept.probed("BackupJob", fields(&["status.run"])));
        assert!(!kept.probed("BackupJob", fields(&["status.run"])));
        assert!(!kept.probed("Plan", fields(&[])));
        let says = kept.complaint(&["BackupJob", "Backup"]).unwrap();
        assert!(
            says.starts_with("the API server does not keep BackupJob status.run: the installed CRDs"),
            "{says}"
        );
        assert_eq!(kept.complaint(&["RestoreJob"]), None);
        assert!(kept.probed("BackupJob", fields(&[])));
        assert_eq!(kept.complaint(&[]), None);
    }

    #[test]
    fn a_write_that_shows_a_lost_field_counts_at_once_and_beside_what_is_known() {
        let kept = KeptFields::new(Arc::default());
        kept.probed("BackupJob", fields(&["status.run"]));
        kept.written("BackupJob", &fields(&["status.run.deadline"]));
        kept.written("BackupJob", &fields(&["status.waitingSince"]));
        let says = kept.complaint(&[]).unwrap();
        assert!(says.contains("BackupJob status.run, BackupJob status.waitingSince:"), "{says}");
        kept.written("Plan", &fields(&["a", "b", "c", "d", "e", "f", "g", "h"]));
        assert!(kept.complaint(&[]).unwrap().contains(" and 2 more: "));
    }

    #[test]
    fn the_metric_counts_the_fields_of_each_kind() {
        let metrics = Arc::new(Metrics::default());
        let kept = KeptFields::new(metrics.clone());
        kept.probed("Plan", fields(&["status.schedule", "status.anchor"]));
        assert!(metrics.text().contains("backstay_fields_not_kept{kind=\"Plan\"} 2"));
        kept.probed("Plan", fields(&[]));
        assert!(metrics.text().contains("backstay_fields_not_kept{kind=\"Plan\"} 0"));
    }
}
