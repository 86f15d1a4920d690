//! The cases that `docs/templates.md` says are different from the Go engine. The tests of the SDK and of the Job component
//! compare what they find with this one list.

/// The page.
pub(crate) const DOCUMENT: &str = include_str!("../../../docs/templates.md");

/// The names in the last column of the document's table of differences.
pub(crate) fn names() -> Vec<String> {
    let section = DOCUMENT.split("### What differs from the Go engine").nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|line| line.trim_end_matches('|').rsplit('|').next());
    let mut names: Vec<String> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| format!("different/{name}"))
        .collect();
    names.sort();
    names
}
