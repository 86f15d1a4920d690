//! Makes the operators' page from the table.

use std::fmt::Write as _;

use backstay_api::conditions::reasons;

use super::{Action, Check, Content, Row, Table};

const HEAD: &str = "\
# What went wrong, what to do

<!-- Made from tests/tests/cluster/bad_inputs.yaml by `make generate`; every line was seen on a cluster. -->

A run says how it is in its condition `Ready`: a reason, which is one word, and a message with the object, the field and
the remedy. The same word is the reason of its Event and a label of the metrics.

    kubectl get backupjob,restorejob -n NAMESPACE
    kubectl describe backupjob NAME -n NAMESPACE

Look the reason up here. *Fails* means that the run has ended and is not tried again: mend the cause and create a new
run. *Waits* means that it goes on by itself as soon as the cause is mended; what it lacks before it begins it waits for
30 minutes, and a run that has begun has 6 hours, unless the controller is set up otherwise. Whatever a run ends
with, other runs, and objects that are not its own, are left alone.
";

/// Replacement of the namespace in messages.
const NAMESPACE: &str = "NAMESPACE";

/// Returns the page.
#[must_use]
pub fn page(table: &Table) -> String {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |title: String, line: String| match sections.iter_mut().find(|(t, _)| *t == title) {
        Some((_, lines)) => lines.push(line),
        None => sections.push((title, vec![line])),
    };
    for row in &table.rows {
        for (title, outcome, says) in places(row) {
            add(title, line(&row.wrong, &outcome, &says, &row.remedy));
        }
    }
    for row in &table.schedules {
        let (title, outcome) = match row.is_bad() {
            true => (reason("InvalidCron"), "nothing fires"),
            false => (FINE.to_owned(), "fires as it says"),
        };
        let zone = row.time_zone.as_ref().map(|zone| format!(", `timeZone: {zone}`")).unwrap_or_default();
        let wrong = format!("{} ({}{zone})", row.wrong.trim_end_matches('.'), code(&row.cron));
        add(title, line(&wrong, outcome, &row.says, &row.remedy));
    }
    // Rows without a failure come last.
    sections.sort_by_key(|(title, _)| [ANY, FINE].iter().position(|last| last == title));
    let mut page = HEAD.to_owned();
    for (title, lines) in sections {
        let _ = write!(
            page,
            "\n## {title}\n\n| what was wrong | what becomes of it | the message says | what to do |\n| --- | --- | --- | --- |\n{}\n",
            lines.join("\n")
        );
    }
    page
}

const REFUSED: &str = "Refused when it is written";
const ANY: &str = "Any other word";
const FINE: &str = "No failure";
/// Reasons of success.
const GOOD: [&str; 3] = ["BackupCompleted", "RestoreCompleted", "ScheduleValid"];
/// A reason of every strategy that uses the SDK, beside the controller's.
const OF_THE_KIT: &str = "MalformedReport";

/// Returns the entries of a row, one for each reason that it shows, with the end of the run and the texts of the message.
fn places(row: &Row) -> Vec<(String, String, Vec<String>)> {
    let mut places: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut add = |title: String, outcome: String, says: &[String]| {
        if !says.is_empty() && places.iter().all(|(t, ..)| *t != title) {
            places.push((title, outcome, says.to_vec()));
        }
    };
    let end = end(row);
    for action in &row.when {
        if let Action::Until(Check::Content(Content { of, reason: Some(word), says, .. })) = action
            && !GOOD.contains(&word.as_str())
        {
            let outcome = match of.kind.as_str() {
                "Backup" => "the Backup stays".to_owned(),
                _ => format!("waits, then {end}"),
            };
            add(reason(word), outcome, says);
        }
    }
    for check in &row.then {
        match check {
            Check::Content(Content { of, reason: Some(word), condition, says, .. })
                if !GOOD.contains(&word.as_str()) =>
            {
                let outcome = match of.kind.as_str() {
                    "Backup" if condition == "Ready" => "the Backup stays",
                    "Broken" | "JobStrategy" => "the strategy says so",
                    _ => end,
                };
                add(reason(word), outcome.to_owned(), says);
            }
            Check::Event { reason: word, says, .. } => add(reason(word), end.to_owned(), says),
            Check::Refused { says, .. } => add(REFUSED.to_owned(), "is not accepted".to_owned(), says),
            _ => {}
        }
    }
    if places.is_empty() {
        places.push((FINE.to_owned(), end.to_owned(), Vec::new()));
    }
    places
}

/// Returns the end of the run.
fn end(row: &Row) -> &'static str {
    let phase = row.then.iter().find_map(|check| match check {
        Check::Content(content) if matches!(content.of.kind.as_str(), "BackupJob" | "RestoreJob") => {
            content.phase.as_deref()
        }
        _ => None,
    });
    let gone = |check: &Check| matches!(check, Check::Gone(targets) if targets.iter().any(|t| t.kind.ends_with("Job")));
    let plan = |check: &Check| matches!(check, Check::Content(content) if content.of.kind == "Plan");
    match phase {
        Some("Failed") => "fails",
        Some("Succeeded") => "succeeds",
        Some(_) => "waits",
        None if row.then.iter().any(gone) => "goes, and its Job with it",
        None if row.then.iter().any(plan) => "fires",
        None => "is left alone",
    }
}

/// Returns the section of a reason.
fn reason(word: &str) -> String {
    match reasons::ALL.contains(&word) || word == OF_THE_KIT {
        true => format!("`{word}`"),
        // A component may have reasons of its own.
        false => ANY.to_owned(),
    }
}

fn line(wrong: &str, outcome: &str, says: &[String], remedy: &str) -> String {
    let says: Vec<_> = says.iter().map(|part| code(part)).collect();
    format!("| {} | {outcome} | {} | {} |", cell(wrong), says.join(" … "), cell(remedy))
}

/// Returns a text as code in a cell.
fn code(text: &str) -> String {
    match text.trim() {
        "" => "`\"\"`".to_owned(),
        text if text.contains('`') => format!("`` {} ``", cell(text)),
        text => format!("`{}`", cell(text)),
    }
}

fn cell(text: &str) -> String {
    text.trim().trim_end_matches('.').replace("$NS", NAMESPACE).replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_on_the_page() {
        let table = Table::load();
        let page = page(&table);
        let texts = table.rows.iter().map(|r| &r.wrong).chain(table.schedules.iter().map(|r| &r.wrong));
        for text in texts {
            assert!(page.contains(&cell(text)), "{text}");
        }
    }

    #[test]
    fn a_reason_on_the_way_and_the_one_at_the_end_both_lead_to_the_row() {
        let page = page(&Table::load());
        for title in ["Running", "RunDeadlineExceeded"] {
            let section = page.split("\n## ").find(|s| s.starts_with(&format!("`{title}`")));
            let section = section.expect("the section");
            assert!(section.contains("The image of the strategy cannot be pulled"), "{title}");
        }
    }

    #[test]
    fn the_page_speaks_to_operators() {
        let page = page(&Table::load());
        for word in ["$NS", "the test", "fixture", "localhost/"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
