//! The table of required cases: all of them are in it, and the tests that it names exist.

use std::path::Path;

use backstay_sdk::Deserialize;

const CASES: &str = include_str!("cases.yaml");

#[derive(Deserialize)]
#[serde(crate = "backstay_sdk::serde", deny_unknown_fields)]
struct Case {
    case: usize,
    rule: String,
    /// The file from the root of the project, and the name of the test in it.
    tests: Vec<String>,
}

#[test]
fn every_case_is_there_and_so_are_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cases: Vec<Case> = serde_saphyr::from_str(CASES).expect("the table is YAML");
    let numbers: Vec<usize> = cases.iter().map(|case| case.case).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    for case in &cases {
        assert!(!case.rule.is_empty() && !case.tests.is_empty(), "case {}", case.case);
        for test in &case.tests {
            let (file, name) = test.split_once(' ').unwrap_or_else(|| panic!("{test} names no test"));
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(is_run(&text, name), "case {}: {file} has no test {name} that is run", case.case);
        }
    }
}

/// Whether `text` has a test function of this name that nothing keeps from being run.
fn is_run(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    // The rest of its own line is no line before it.
    let before = before.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let lines = before.lines().rev().map(str::trim);
    let attributes: Vec<&str> =
        lines.take_while(|line| line.starts_with("#[") || line.starts_with("//")).collect();
    let is_test = attributes
        .iter()
        .any(|a| *a == "#[test]" || *a == "#[tokio::test]" || a.starts_with("#[tokio::test("));
    is_test && !attributes.iter().any(|a| a.starts_with("#[ignore") || a.starts_with("#[cfg"))
}

#[test]
fn a_function_without_the_attribute_or_one_that_is_ignored_is_no_test_of_a_case() {
    for (text, run) in [
        ("#[test]\nfn a() {}", true),
        ("    #[test]\n    // Why.\n    fn a() {}", true),
        ("#[tokio::test]\nasync fn a() {}", true),
        ("#[tokio::test(start_paused = true)]\nasync fn a() {}", true),
        ("fn a() {}", false),
        ("#[test]\nfn b() {}\n\nfn a() {}", false),
        ("#[test]\n#[ignore = \"slow\"]\nfn a() {}", false),
        ("#[cfg(never)]\n#[test]\nfn a() {}", false),
        ("", false),
    ] {
        assert_eq!(is_run(text, "a"), run, "{text}");
    }
}
