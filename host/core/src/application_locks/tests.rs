use super::*;

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
        run: format!("Run {uid}"),
        mode,
        strategy: GroupKind { group: "s".into(), kind: strategy.into() },
        created,
    }
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
    let woken: Vec<_> = locks.release("b1").into_iter().map(|c| c.run_uid).collect();
    assert_eq!(woken, ["b2", "b3"]);
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
    locks.enqueue(&target(), claim("b3", Mode::Backup, "Job", 3));
    locks.enqueue(&target(), claim("b2", Mode::Backup, "Job", 2));
    assert_eq!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap_err().run_uid, "b2");
    locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).unwrap();
    // A run that holds the lock is not queued.
    locks.enqueue(&target(), claim("b2", Mode::Backup, "Job", 2));
    assert_eq!(locks.release("b2").len(), 1);
}

#[test]
fn a_run_that_gives_up_waiting_holds_nobody_up() {
    let mut locks = LockTable::default();
    locks.enqueue(&target(), claim("b2", Mode::Backup, "Job", 2));
    assert!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).is_err());
    assert_eq!(locks.release("b2")[0].run_uid, "b3");
    locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap();
}

#[test]
fn claiming_twice_and_resuming_are_harmless() {
    let mut locks = LockTable::default();
    locks.restore(&target(), claim("b", Mode::Backup, "Job", 1));
    locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 1)).unwrap();
    assert!(locks.release("b").is_empty());
    assert!(locks.0.is_empty());
}

#[test]
fn other_applications_are_not_held_up() {
    let mut locks = LockTable::default();
    locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 1)).unwrap();
    let other = Target { name: "m".into(), ..target() };
    locks.try_acquire(&other, &claim("b", Mode::Backup, "Job", 2)).unwrap();
}
