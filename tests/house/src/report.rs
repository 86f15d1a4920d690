//! The figures of a checkout as Markdown.

use std::fmt::Write as _;

use crate::Figures;
use crate::figures::TESTED_FROM;

/// The source folder whose functions take the `Context`.
const HOST: &str = "host/src";

/// Formats the figures of source folders, each with its name, as a page of Markdown.
#[must_use]
pub fn page(trees: &[(String, Figures)]) -> String {
    let mut page = format!(
        "| tree | files | largest folder | longest file | circles | files of the largest | arrows up | over {TESTED_FROM} lines \
         without a unit test | lines of code | lines in all |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for (name, figures) in trees {
        let largest = figures.folders.iter().max_by_key(|(_, files)| **files);
        let folder = largest.map(|(folder, files)| format!("{} {files}", shown(folder))).unwrap_or_default();
        let row = format!(
            "| {name} | {} | {folder} | `{}` {} | {} | {} | {} | {} | {} | {} |",
            figures.files,
            figures.longest.0,
            figures.longest.1,
            figures.circles.len(),
            figures.circles.first().map_or(0, Vec::len),
            figures.up.map_or("no floors".to_owned(), |up| up.to_string()),
            figures.untested.len(),
            figures.code,
            figures.lines,
        );
        push(&mut page, &row);
    }
    let sum = |of: fn(&Figures) -> usize| trees.iter().map(|(_, figures)| of(figures)).sum::<usize>();
    let row = format!(
        "| all | {} | | | {} | | | {} | {} | {} |",
        sum(|f| f.files),
        sum(|f| f.circles.len()),
        sum(|f| f.untested.len()),
        sum(|f| f.code),
        sum(|f| f.lines),
    );
    push(&mut page, &row);
    if let Some((_, figures)) = trees.iter().find(|(name, _)| name == HOST) {
        let (all, outside) = figures.with_context;
        let line = format!(
            "\n{all} functions of {HOST} take `Context`, {outside} of them outside of `controller`, `reconcile`, `cli` and `context.rs`."
        );
        push(&mut page, &line);
    }
    push(&mut page, "\n| tree | folder | files |\n| --- | --- | --- |");
    for (name, figures) in trees {
        for (folder, files) in &figures.folders {
            push(&mut page, &format!("| {name} | {} | {files} |", shown(folder)));
        }
    }
    push(&mut page, &format!("\n| tree | over {TESTED_FROM} lines without a unit test |\n| --- | --- |"));
    for (name, figures) in trees.iter().filter(|(_, figures)| !figures.untested.is_empty()) {
        push(&mut page, &format!("| {name} | {} |", figures.untested.join(", ")));
    }
    page
}

fn push(page: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(page, "{line}");
}

/// Formats a folder for a table; the source folder itself is `/`.
fn shown(folder: &str) -> String {
    format!("`{folder}/`")
}
