//! A recorded story is played with no difference, and a wrong answer in it is found: so replaying itself is tested without a cluster.

use std::path::{Path, PathBuf};

use backstay_replay::play::{DECLARED, play};

const STORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/story.jsonl");

fn changed(name: &str, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(STORY).expect("the story");
    assert!(text.contains(from), "the story has no {from}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text.replace(from, to)).expect("the file can be written");
    path
}

#[test]
fn the_story_is_answered_as_it_was_recorded() {
    let report = play(&[STORY.into()], DECLARED, true).expect("a recording");
    assert!(report.is_good(), "{report}");
    assert!(report.compared() >= 60, "{report}");
}

#[test]
fn another_answer_is_a_difference() {
    let path = changed("code.jsonl", "\"code\":409,\"headers\"", "\"code\":410,\"headers\"");
    let report = play(&[path], DECLARED, true).expect("a recording");
    assert!(!report.is_good() && report.to_string().contains("/code: recorded 410, got 409"), "{report}");
}

#[test]
fn another_event_of_a_watch_is_a_difference() {
    let path = changed("event.jsonl", "{\\\"type\\\":\\\"DELETED\\\"", "{\\\"type\\\":\\\"MODIFIED\\\"");
    let report = play(&[path], DECLARED, true).expect("a recording");
    assert!(!report.is_good() && report.to_string().contains("/type: recorded"), "{report}");
}
