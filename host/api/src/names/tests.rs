use std::collections::BTreeSet;

use super::*;

/// Names of every length from 1 to 253, plain, with dots, and with dashes at every place where a cut may fall.
fn stems() -> impl Iterator<Item = String> {
    ["abcdefghij", "ab.cd-ef.g", "a-", "a.", "a--b..c-.d"].into_iter().flat_map(|pattern| {
        (1..=NAME_LIMIT).map(move |len| {
            let mut name: String = pattern.chars().cycle().take(len - 1).collect();
            name.push('z');
            name
        })
    })
}

/// Returns whether RFC 1123 and the API server allow an object's name.
fn is_dns_subdomain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(inner)
        && name.ends_with(inner)
        && name.chars().all(|c| inner(c) || matches!(c, '-' | '.'))
}

#[test]
fn a_name_that_fits_is_the_one_of_the_reference() {
    assert_eq!(backup_job_name("nightly"), "nightly-backup");
    assert_eq!(restore_job_name("to.copy"), "to.copy-restore");
    assert_eq!(plan_run_name("cache-nightly", 29_543_655 * 60 + 59), "cache-nightly-29543655");
    assert_eq!(fallback_backup_name("nightly", "0f3a9c1e-77aa-4c1b-9d2f-000000000000"), "nightly-0f3a9c1e");
    let longest = "n".repeat(56);
    assert_eq!(backup_job_name(&longest), format!("{longest}-backup"));
    assert_eq!(restore_job_name(&longest[..55]), format!("{}-restore", &longest[..55]));
    let plan = "p".repeat(47);
    assert_eq!(plan_run_name(&plan, 29_543_655 * 60), format!("{plan}-29543655"));
}

#[test]
fn one_byte_too_many_replaces_the_tail_of_the_stem_and_keeps_the_suffix() {
    // Hash: the first 8 hex digits of `printf %s "$(printf 'n%.0s' $(seq 57))-backup" | sha256sum`.
    assert_eq!(backup_job_name(&"n".repeat(57)), format!("{}-27a3c108-backup", "n".repeat(47)));
}

#[test]
fn a_cut_leaves_no_dash_or_dot_before_the_hash() {
    let stem = format!("{}.-.tail-that-is-cut", "n".repeat(45));
    let name = bounded(&stem, "-backup", LABEL_LIMIT);
    assert!(name.starts_with(&format!("{}-", "n".repeat(45))), "{name}");
    assert!(name.len() < LABEL_LIMIT && is_dns_subdomain(&name), "{name}");
}

#[test]
fn every_name_is_within_its_limit_valid_and_keeps_its_suffix() {
    for stem in stems() {
        let (backup, restore) = (backup_job_name(&stem), restore_job_name(&stem));
        let (slot, label) = (plan_run_name(&stem, 1_772_619_300), label_value(&stem));
        let fallback = fallback_backup_name(&stem, "0f3a9c1e-77aa-4c1b-9d2f-000000000000");
        for (name, suffix, limit) in [
            (&backup, "-backup", 63),
            (&restore, "-restore", 63),
            (&slot, "-29543655", 56),
            (&label, "", 63),
            (&fallback, "-0f3a9c1e", 253),
        ] {
            assert!(name.len() <= limit, "{name}: {} bytes", name.len());
            assert!(name.ends_with(suffix) && is_dns_subdomain(name), "{name}");
            if stem.len() + suffix.len() <= limit {
                assert_eq!(*name, format!("{stem}{suffix}"));
            }
        }
        let job_of_slot = backup_job_name(&slot);
        assert_eq!(job_of_slot, format!("{slot}-backup"), "the Job of a Plan's run is never cut");
    }
}

#[test]
fn equal_inputs_give_equal_names_and_different_ones_different_names() {
    let long = "x".repeat(200);
    let mut seen = BTreeSet::new();
    for i in 0..10_000 {
        let stem = format!("{long}{i}");
        assert_eq!(backup_job_name(&stem), backup_job_name(&stem));
        assert!(seen.insert(backup_job_name(&stem)), "{stem}");
    }
    for minute in 0..1_440 {
        assert!(seen.insert(plan_run_name(&long, 1_772_619_300 + minute * 60)), "minute {minute}");
    }
    assert_ne!(backup_job_name(&long), restore_job_name(&long));
}

#[test]
fn a_slot_is_its_minute_also_before_the_epoch() {
    assert_eq!(plan_run_name("p", 59), "p-0");
    assert_eq!(plan_run_name("p", 60), "p-1");
    assert_eq!(plan_run_name("p", -1), "p--1");
}

#[test]
fn text_that_is_not_ascii_is_cut_between_characters() {
    let name = bounded(&"é".repeat(60), "-x", 63);
    assert!(name.len() <= 63 && name.ends_with("-x"), "{name}");
}
