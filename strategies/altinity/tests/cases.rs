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
            assert!(text.contains(&format!("fn {name}(")), "case {}: {file} has no test {name}", case.case);
        }
    }
}
