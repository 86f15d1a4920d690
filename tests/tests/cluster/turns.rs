//! The lock on an application during the clean-up of its Backup (docs/rules.md F20).

use backstay_api::Backup;
use backstay_tests::World;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::steps::{cleanup_says, make, restore_waits, until_flag, world};

/// Makes a world with two Backups of the application.
async fn with_two_backups(test: &str, program: Value) -> Option<World> {
    let w = world(test, program).await?;
    for name in ["old", "new"] {
        w.backup(name).await;
        w.backup_succeeds(name).await;
    }
    Some(w)
}

#[tokio::test]
async fn f20_a_clean_up_that_fails_again_and_again_holds_up_no_restore() {
    let program = json!({"backup": [], "restore": [], "cleanup": [{"fail": "the store is closed"}]});
    let Some(w) = with_two_backups("turns_failing", program).await else { return };
    w.delete::<Backup>("old").await;
    cleanup_says(&w, "old", "CleanupFailed").await;
    w.restore("back", "new").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    assert!(!w.get_backup("old").await.finalizers().is_empty());
}

#[tokio::test]
async fn f20_a_clean_up_waits_for_the_restore_of_its_application_and_backups_go_on_beside_it() {
    let program = json!({"backup": [], "restore": [until_flag()], "cleanup": []});
    let Some(w) = with_two_backups("turns_restore", program).await else { return };
    w.restore("back", "new").await;
    restore_waits(&w, "back", "ToldToWait").await;
    w.delete::<Backup>("old").await;
    cleanup_says(&w, "old", "TargetBusy").await;
    make(&w, "flag", json!({"ready": "yes"})).await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    w.until_gone::<Backup>("old").await;
}

#[tokio::test]
async fn f20_a_restore_waits_for_the_clean_up_that_has_begun_and_a_backup_does_not() {
    let program = json!({"backup": [], "restore": [], "cleanup": [until_flag()]});
    let Some(w) = with_two_backups("turns_cleanup", program).await else { return };
    w.delete::<Backup>("old").await;
    cleanup_says(&w, "old", "ToldToWait").await;
    w.backup("another").await;
    w.backup_succeeds("another").await;
    w.restore("back", "new").await;
    restore_waits(&w, "back", "TargetBusy").await;
    make(&w, "flag", json!({"ready": "yes"})).await;
    w.until_gone::<Backup>("old").await;
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
}
