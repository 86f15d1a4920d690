use std::cell::Cell;

use super::*;

thread_local! {
    static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
}

/// See the function that it stands for.
pub(super) fn look() {
    LOOKED_AT.set(LOOKED_AT.get() + 1);
}

fn target() -> Target {
    Target {
        namespace: "a".into(),
        kind: GroupKind { group: "g".into(), kind: "K".into() },
        name: "n".into(),
    }
}

fn claim(uid: &str, mode: Mode, strategy: &str, created: i64) -> Claim {
    Claim {
        run_uid: uid.into(),
        mode,
        namespace: "a".into(),
        name: format!("run-{uid}"),
        strategy: GroupKind { group: "s".into(), kind: strategy.into() },
        created,
    }
}

/// Releases what a run has, and returns the uids of those that may go now.
fn released(locks: &mut LockTable, uid: &str) -> Vec<String> {
    locks.release(uid).into_iter().map(|claim| claim.run_uid).collect()
}

#[test]
fn f20_a_restore_excludes_every_other_run() {
    let mut locks = LockTable::default();
    locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 1)).unwrap();
    assert_eq!(
        locks.try_acquire(&target(), &claim("r", Mode::Restore, "Vault", 2)).unwrap_err().run_uid,
        "b"
    );
    assert_eq!(locks.release("b")[0].run_uid, "r");
    locks.try_acquire(&target(), &claim("r", Mode::Restore, "Vault", 2)).unwrap();
    assert_eq!(locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 3)).unwrap_err().run_uid, "r");
}

#[test]
fn f20_backups_of_one_strategy_kind_take_turns_and_others_do_not() {
    let mut locks = LockTable::default();
    locks.try_acquire(&target(), &claim("b1", Mode::Backup, "Job", 1)).unwrap();
    assert!(locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).is_err());
    locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Velero", 3)).unwrap();
}

#[test]
fn f20_turns_go_in_order_of_creation() {
    let mut locks = LockTable::default();
    locks.try_acquire(&target(), &claim("b1", Mode::Backup, "Job", 1)).unwrap();
    assert!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).is_err());
    assert!(locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).is_err());
    assert_eq!(released(&mut locks, "b1"), ["b2"], "b3 is behind it");
    assert_eq!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap_err().run_uid, "b2");
    locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).unwrap();
}

#[test]
fn f20_a_clean_up_and_a_restore_exclude_each_other_and_backups_go_on_beside_a_clean_up() {
    let mut locks = LockTable::default();
    locks.try_acquire(&target(), &claim("c", Mode::Cleanup, "Job", 1)).unwrap();
    locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 2)).unwrap();
    locks.try_acquire(&target(), &claim("c2", Mode::Cleanup, "Job", 3)).unwrap();
    assert_eq!(locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 4)).unwrap_err().run_uid, "c");
    // A clean-up that was created after the restore does not begin before it.
    assert_eq!(locks.try_acquire(&target(), &claim("c3", Mode::Cleanup, "Job", 5)).unwrap_err().run_uid, "r");
    for uid in ["b", "c", "c2"] {
        locks.release(uid);
    }
    locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 4)).unwrap();
    assert_eq!(locks.try_acquire(&target(), &claim("c", Mode::Cleanup, "Job", 1)).unwrap_err().run_uid, "r");
}

#[test]
fn f20_turns_go_in_order_of_creation_after_a_restart_whoever_asks_first() {
    let mut locks = LockTable::default();
    locks.enqueue(&target(), &claim("b3", Mode::Backup, "Job", 3));
    locks.enqueue(&target(), &claim("b2", Mode::Backup, "Job", 2));
    assert_eq!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap_err().run_uid, "b2");
    locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).unwrap();
    // A run that holds the lock is not queued.
    locks.enqueue(&target(), &claim("b2", Mode::Backup, "Job", 2));
    assert_eq!(released(&mut locks, "b2"), ["b3"]);
}

#[test]
fn a_run_that_gives_up_waiting_holds_nobody_up() {
    let mut locks = LockTable::default();
    locks.enqueue(&target(), &claim("b2", Mode::Backup, "Job", 2));
    assert!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).is_err());
    assert_eq!(locks.release("b2")[0].run_uid, "b3");
    locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap();
}

#[test]
fn claiming_twice_and_resuming_are_harmless() {
    let mut locks = LockTable::default();
    locks.restore(&target(), &claim("b", Mode::Backup, "Job", 1));
    locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 1)).unwrap();
    assert!(locks.release("b").is_empty() && locks.release("b").is_empty());
    assert!(locks.queues.is_empty() && locks.places.is_empty());
}

#[test]
fn other_applications_are_not_held_up() {
    let mut locks = LockTable::default();
    locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 1)).unwrap();
    let other = Target { name: "m".into(), ..target() };
    locks.try_acquire(&other, &claim("b", Mode::Backup, "Job", 2)).unwrap();
}

#[test]
fn an_end_names_those_that_may_go_now_and_nobody_else() {
    let mut locks = LockTable::default();
    let mut ask = |uid, mode, strategy, created| {
        locks.try_acquire(&target(), &claim(uid, mode, strategy, created)).is_ok()
    };
    assert!(ask("r1", Mode::Restore, "Job", 1));
    for (uid, mode, strategy, created) in [
        ("b2", Mode::Backup, "Job", 2),
        ("v3", Mode::Backup, "Velero", 3),
        ("c4", Mode::Cleanup, "Job", 4),
        ("b5", Mode::Backup, "Job", 5),
        ("r6", Mode::Restore, "Job", 6),
        ("c7", Mode::Cleanup, "Job", 7),
        ("b8", Mode::Backup, "Job", 8),
    ] {
        assert!(!ask(uid, mode, strategy, created), "{uid}");
    }
    assert_eq!(released(&mut locks, "r1"), ["b2", "v3", "c4"]);
    for uid in ["b2", "v3", "c4"] {
        let (mode, strategy) = match uid {
            "b2" => (Mode::Backup, "Job"),
            "v3" => (Mode::Backup, "Velero"),
            _ => (Mode::Cleanup, "Job"),
        };
        let created = uid[1..].parse().unwrap();
        locks.try_acquire(&target(), &claim(uid, mode, strategy, created)).unwrap();
    }
    assert_eq!(released(&mut locks, "b2"), ["b5"]);
    locks.try_acquire(&target(), &claim("b5", Mode::Backup, "Job", 5)).unwrap();
    assert_eq!(released(&mut locks, "v3"), [""; 0], "b5 and c4 go on");
    assert_eq!(released(&mut locks, "c4"), [""; 0]);
    assert_eq!(released(&mut locks, "b5"), ["r6"]);
    // Who gives up waiting lets those behind it go.
    assert_eq!(released(&mut locks, "r6"), ["c7", "b8"]);
}

#[test]
fn a_run_that_names_another_application_leaves_its_place_and_those_behind_it_go() {
    let mut locks = LockTable::default();
    let other = Target { name: "m".into(), ..target() };
    locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 1)).unwrap();
    assert!(locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 2)).is_err());
    assert!(locks.leave_others(&target(), "r").is_empty(), "it names the same one");
    let freed = locks.leave_others(&other, "r");
    assert_eq!(freed.len(), 1);
    locks.try_acquire(&other, &claim("r", Mode::Restore, "Job", 1)).unwrap();
    locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 2)).unwrap();
    assert_eq!(locks.runs().count(), 2);
}

/// What is looked at for each claim and each end does not grow with the runs that wait.
#[test]
fn ten_thousand_runs_that_wait_for_one_application_cost_as_much_each_as_ten() {
    const LOOKS: usize = 8;
    for number in [10, 10_000] {
        let mut locks = LockTable::default();
        let run = |i: usize| claim(&format!("{i:05}"), Mode::Backup, "Job", i64::try_from(i).unwrap());
        let mut woken = 0;
        LOOKED_AT.set(0);
        // The last one claims first: each claim goes before all others.
        for i in (0..number).rev() {
            locks.enqueue(&target(), &run(i));
        }
        for i in 0..number {
            assert_eq!(locks.try_acquire(&target(), &run(number - 1)).is_ok(), i + 1 == number);
            locks.try_acquire(&target(), &run(i)).unwrap();
            woken += locks.release(&run(i).run_uid).len();
        }
        assert_eq!(woken, number - 1, "each end wakes one run");
        assert!(LOOKED_AT.get() <= LOOKS * number, "{} for {number}", LOOKED_AT.get());
    }
}

#[test]
fn a_run_that_has_ended_is_known_by_the_lock_that_it_holds_and_so_is_who_waits_for_it() {
    let mut locks = LockTable::default();
    locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 1)).unwrap();
    assert_eq!((locks.held_by("b"), locks.first_behind("b")), (Some(&target()), None));
    for (uid, created) in [("later", 3), ("r", 2)] {
        locks.try_acquire(&target(), &claim(uid, Mode::Restore, "Job", created)).unwrap_err();
    }
    assert_eq!(locks.first_behind("b").map(|claim| claim.run_uid.as_str()), Some("r"));
    assert_eq!((locks.held_by("r"), locks.first_behind("r")), (None, None), "it holds nothing");
}

#[test]
fn f20_a_run_that_turns_out_to_have_begun_waits_for_the_one_whose_turn_it_is() {
    let mut locks = LockTable::default();
    let [early, late] = [claim("early", Mode::Backup, "Job", 1), claim("late", Mode::Backup, "Job", 2)];
    locks.try_acquire(&target(), &late).unwrap();
    assert_eq!(locks.resume(&target(), &early).unwrap_err().run_uid, "late");
    assert_eq!(locks.resume(&target(), &early).unwrap_err().run_uid, "late", "however often it asks");
    assert_eq!(locks.resume(&target(), &late), Ok(()), "its turn is its own");
    assert_eq!(released(&mut locks, "late"), ["early"]);
    assert_eq!(locks.resume(&target(), &early), Ok(()));
    let other = claim("other", Mode::Backup, "Vault", 0);
    assert_eq!(locks.resume(&target(), &other), Ok(()), "it excludes nobody");
}
