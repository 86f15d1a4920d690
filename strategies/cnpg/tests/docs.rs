//! The pages about CNPG say what the code does.

// Functions that tests share are not seen as tests by the lint.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder that ends so.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.to_string_lossy().ends_with(end) {
                found.push(entry);
            }
        }
    }
    found
}

/// Lines without what only layout is.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect()
}

/// The code of the authors' page that names a file is in that file.
#[test]
fn the_code_of_the_authors_page_is_the_strategys() {
    let page = read("docs/authors/resource-strategy.md");
    let mut compared = 0;
    for block in page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let Some(path) = block.lines().next().and_then(|l| l.strip_prefix("// strategies/")) else {
            continue;
        };
        let code = lines(block)[1..].to_vec();
        let source = read(Path::new("strategies").join(path));
        let source = lines(&source);
        assert!(source.windows(code.len()).any(|w| w == code), "{path} does not have\n{}", code.join("\n"));
        compared += 1;
    }
    assert!(compared >= 8, "only {compared} pieces of code name their file");
}

/// What a run can wait for or end with, as the cases show it, is on the strategy's page; and the page names no reason that
/// does not occur in the code.
#[test]
fn the_reasons_of_the_page_are_those_of_the_code() {
    let page = read("docs/strategies/cnpg.md");
    let table = page.split("## When it fails").nth(1).unwrap();
    let rows = table.lines().filter(|l| l.starts_with("| `"));
    let told: BTreeSet<&str> =
        rows.flat_map(|l| l.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();

    let cases = files("strategies/cnpg/tests/cases", "case.yaml");
    let mut shown = BTreeSet::new();
    for case in &cases {
        let text = std::fs::read_to_string(case).unwrap();
        for line in text.lines().map(|l| l.trim().trim_start_matches("- ")) {
            let reason = line.strip_prefix("waits: ").or_else(|| line.strip_prefix("fails: "));
            shown.extend(reason.map(str::to_owned));
        }
    }
    let untold: Vec<&String> = shown.iter().filter(|r| !told.contains(r.as_str())).collect();
    assert_eq!(untold, [""; 0], "reasons that the page does not name");

    let mut code = read("sdk/src/step/look.rs");
    for file in files("strategies/cnpg/src", ".rs") {
        code.push_str(&std::fs::read_to_string(file).unwrap());
    }
    code.push_str(&read("sdk/src/component.rs"));
    let invented: Vec<&&str> = told.iter().filter(|r| !code.contains(&format!("\"{r}\""))).collect();
    assert_eq!(invented, [&""; 0], "reasons that no code has");
}

/// The options of the page are those of the code, with their defaults.
#[test]
fn the_options_of_the_page_are_those_that_are_read() {
    let page = read("docs/strategies/cnpg.md");
    let source = read("strategies/cnpg/src/options.rs");
    let table = page.split("## Options").nth(1).unwrap().split("## ").next().unwrap();
    let told: BTreeSet<&str> =
        table.lines().filter(|l| l.starts_with("| `")).map(|l| l.split('`').nth(1).unwrap()).collect();
    let read: BTreeSet<&str> = source
        .lines()
        .filter_map(|l| l.strip_prefix("const ")?.split_once(": &str = \"")?.1.strip_suffix("\";"))
        .collect();
    assert_eq!(told, read);
}
