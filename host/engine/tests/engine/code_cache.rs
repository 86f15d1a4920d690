//! Compiled code on disk: used if it is sound, else ignored.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use backstay_engine::{CacheError, CodeOrigin, Component, Engine, EngineConfig, EngineError};
use serde_json::json;

use crate::guest::Guest;
use crate::loading::Scratch;
use crate::requests::request;

fn engine(cache: &Path) -> Result<Engine, EngineError> {
    Engine::new(EngineConfig {
        code_cache: Some(cache.to_owned()),
        concurrent_calls: 1,
        ..EngineConfig::default()
    })
}

fn works(component: &Component) {
    assert_eq!(component.render(&request(), None).unwrap().value.unwrap().template, json!({"spec": {}}));
}

fn entries(cache: &Path) -> Vec<PathBuf> {
    fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes a cache with one entry, and returns it with its component.
fn filled() -> (Scratch, PathBuf, Vec<u8>) {
    let bytes = Guest::pod().build();
    let scratch = Scratch::new("guest.wasm", &bytes);
    let cache = scratch.0.with_file_name("cache");
    works(&engine(&cache).unwrap().load(&bytes).unwrap());
    (scratch, cache, bytes)
}

#[test]
fn the_next_process_does_not_compile_again() {
    let (_scratch, cache, bytes) = filled();
    let component = engine(&cache).unwrap().load(&bytes).unwrap();
    assert_eq!(component.code_origin(), CodeOrigin::Cache);
    works(&component);
    assert_eq!(entries(&cache).len(), 1, "no temporary file is left: {:?}", entries(&cache));
}

#[test]
fn what_it_makes_belongs_to_this_user_alone() {
    let (_scratch, cache, _) = filled();
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&entries(&cache)[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_entry_that_is_not_as_it_was_written_is_a_miss_and_is_replaced() {
    type Damage = (&'static str, fn(&mut Vec<u8>));
    let damages: &[Damage] = &[
        ("emptied", |entry| entry.clear()),
        ("cut in its header", |entry| entry.truncate(60)),
        ("cut in its code", |entry| entry.truncate(entry.len() - 1)),
        ("continued", |entry| entry.push(0)),
        ("of another format", |entry| entry[14] = b'2'),
        ("of another component", |entry| entry[16] ^= 1),
        ("of another engine", |entry| entry[48] ^= 1),
        ("with another length", |entry| entry[80] ^= 1),
        ("with another checksum", |entry| entry[88] ^= 1),
        ("with one bit of code flipped", |entry| {
            let middle = 120 + (entry.len() - 120) / 2;
            entry[middle] ^= 0x10;
        }),
    ];
    let (_scratch, cache, bytes) = filled();
    for (name, damage) in damages {
        let path = &entries(&cache)[0];
        let mut entry = fs::read(path).unwrap();
        damage(&mut entry);
        fs::write(path, entry).unwrap();
        let component = engine(&cache).unwrap().load(&bytes).unwrap();
        assert_eq!(component.code_origin(), CodeOrigin::Compiled, "{name}");
        works(&component);
        assert_eq!(engine(&cache).unwrap().load(&bytes).unwrap().code_origin(), CodeOrigin::Cache, "{name}");
    }
}

#[test]
fn an_entry_under_the_name_of_another_component_is_a_miss() {
    let (_scratch, cache, _) = filled();
    let first = entries(&cache)[0].clone();
    let other = Guest::pod().descriptor(|d| d["name"] = json!("other")).build();
    engine(&cache).unwrap().load(&other).unwrap();
    let second = entries(&cache).into_iter().find(|path| *path != first).unwrap();
    fs::copy(&first, &second).unwrap();
    let component = engine(&cache).unwrap().load(&other).unwrap();
    assert_eq!(
        (component.code_origin(), component.descriptor().name.as_str()),
        (CodeOrigin::Compiled, "other")
    );
}

#[test]
fn an_entry_that_others_could_have_written_is_a_miss() {
    let (scratch, cache, bytes) = filled();
    mode(&entries(&cache)[0], 0o620);
    assert_eq!(engine(&cache).unwrap().load(&bytes).unwrap().code_origin(), CodeOrigin::Compiled);
    // A link is refused, even to a sound entry.
    let path = entries(&cache)[0].clone();
    let elsewhere = scratch.0.with_file_name("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert_eq!(engine(&cache).unwrap().load(&bytes).unwrap().code_origin(), CodeOrigin::Compiled);
}

#[test]
fn a_directory_that_others_could_write_to_is_refused() {
    let scratch = Scratch::new("a-file", b"");
    let cache = scratch.0.with_file_name("cache");
    let refused = |path: &Path| match engine(path) {
        Err(EngineError::Cache { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    fs::create_dir(&cache).unwrap();
    for open in [0o770, 0o707, 0o777, 0o1777] {
        mode(&cache, open);
        assert!(matches!(refused(&cache), CacheError::Writable { mode } if mode == open));
    }
    mode(&cache, 0o755);
    engine(&cache).unwrap();

    let link = scratch.0.with_file_name("link");
    symlink(&cache, &link).unwrap();
    assert!(matches!(refused(&link), CacheError::NotADirectory));
    assert!(matches!(refused(&scratch.0), CacheError::Io(_) | CacheError::NotADirectory));

    // A directory of another user: the root directory, or, for root, one with a changed owner.
    let foreign = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&cache, Some(1), None).unwrap();
        cache
    } else {
        PathBuf::from("/")
    };
    let error = engine(&foreign).unwrap_err();
    assert_eq!(error.reason(), "CodeCacheRefused");
    assert!(matches!(error, EngineError::Cache { cause: CacheError::Foreign { .. }, .. }), "{error:?}");
}

#[test]
fn a_cache_that_cannot_be_written_to_costs_time_only() {
    let scratch = Scratch::new("a-file", b"");
    let cache = scratch.0.with_file_name("cache");
    let engine = engine(&cache).unwrap();
    fs::remove_dir(&cache).unwrap();
    works(&engine.load(&Guest::pod().build()).unwrap());
}

#[test]
fn what_is_refused_is_not_kept() {
    let scratch = Scratch::new("a-file", b"");
    let cache = scratch.0.with_file_name("cache");
    let bad = Guest::pod().descriptor(|d| d["name"] = json!("")).build();
    engine(&cache).unwrap().load(&bad).unwrap_err();
    assert!(entries(&cache).is_empty());
}
