//! Measures what grows with the cluster, in memory and without a cluster: the lock of an application for which thousands of runs
//! wait, and the look-ups that collect the records of thousands of Backups.
//!
//! `cargo run --release -p backstay-tests --bin passes`

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use backstay::components::registry::Registry;
use backstay::informers::shelf::Shelf;
use backstay::informers::stores::Stores;
use backstay_api::{Backup, labels};
use backstay_core::application_locks::{Claim, LockTable, Target};
use backstay_core::contract::{GroupKind, Mode};
use kube::api::{ObjectMeta, PartialObjectMeta};

/// Look-ups that are measured one by one; all would take minutes by a scan.
const SAMPLE: u32 = 200;

#[allow(clippy::print_stdout)]
fn main() {
    for runs in [1_000, 10_000] {
        let (claims, ends, longest) = turns(runs);
        println!(
            "{runs:>6} waiting runs: all claim in {claims:?}, all end in {ends:?}, the longest end {longest:?}"
        );
    }
    for backups in [10_000, 25_000] {
        let (scan, index) = lookups(backups);
        let all = |one: Duration| one * u32::try_from(backups).unwrap_or(u32::MAX);
        println!(
            "{backups:>6} Backups: a look-up for each record takes {:?} by a scan and {:?} by the index",
            all(scan),
            all(index)
        );
    }
}

/// Has runs claim one application, then end one after the other, each waking those that may go. Returns the time of all claims,
/// of all ends with the claims that they cause, and of the longest one.
fn turns(number: u32) -> (Duration, Duration, Duration) {
    let kind = |kind: &str| GroupKind { group: "g".into(), kind: kind.into() };
    let target = Target { namespace: "a".into(), kind: kind("App"), name: "app".into() };
    let claim = |run: u32| Claim {
        run_uid: format!("00000000-0000-0000-0000-{run:012}"),
        mode: Mode::Backup,
        namespace: "a".into(),
        name: format!("run-{run}"),
        strategy: kind("Job"),
        created: i64::from(run),
    };
    let mut locks = LockTable::default();
    let began = Instant::now();
    for run in 0..number {
        let _ = locks.try_acquire(&target, &claim(run));
    }
    let claims = began.elapsed();
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    for run in 0..number {
        let one = Instant::now();
        for woken in locks.release(&claim(run).run_uid) {
            let _ = locks.try_acquire(&target, &woken);
        }
        longest = longest.max(one.elapsed());
    }
    (claims, began.elapsed(), longest)
}

/// Returns the time of one look-up of a record's run, by a scan of the store and by the index.
fn lookups(number: usize) -> (Duration, Duration) {
    let (stores, mut writers) = Stores::new(&Registry::default());
    let uid = |number: usize| format!("00000000-0000-0000-0000-{number:012}");
    for backup in 0..number {
        let metadata = ObjectMeta {
            name: Some(format!("backup-{backup}")),
            namespace: Some("a".to_owned()),
            uid: Some(uid(number + backup)),
            labels: Some([(labels::RUN_UID.to_owned(), uid(backup))].into()),
            ..ObjectMeta::default()
        };
        let backup = PartialObjectMeta::<Backup> { metadata, types: None, _phantom: PhantomData };
        writers.backups.put(backup);
    }
    let of = |backup: &PartialObjectMeta<Backup>, run: &str| {
        let marks = backup.metadata.labels.as_ref();
        marks.and_then(|marks| marks.get(labels::RUN_UID)).is_some_and(|uid| uid == run)
    };
    let time = |look: &dyn Fn(&str) -> bool| {
        let began = Instant::now();
        for sample in 0..SAMPLE {
            let run = uid(sample as usize * number / SAMPLE as usize);
            assert!(look(&run), "{run} is found");
        }
        began.elapsed() / SAMPLE
    };
    let scan = time(&|run| {
        stores.backups.all().any(|b| b.metadata.uid.as_deref() == Some(run))
            || stores.backups.all().any(|b| of(&b, run))
    });
    let index = time(&|run| stores.is_unfinished(run) || stores.has_backup_of(run, None));
    (scan, index)
}
