//! The documents match the code: links lead somewhere, tables agree with the program, examples are accepted.
//!
//! `tests/install/install` runs the shell blocks of `docs/operations`. `host/engine/tests/engine/published.rs` compares the
//! tables of `docs/limits.md`, and `sdk/tests/template_cases.rs` those of `docs/templates.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backstay::components::limits;
use backstay::controller::triggers::TRIGGERS;
use backstay::metrics::Metrics;
use backstay_api::{BackupClass, BackupJob, Plan, RestoreJob};
use backstay_core::pod_policy::{BASELINE, BEYOND, RESTRICTED};
use backstay_engine::Limits;
use backstay_testing::Built;
use clap::CommandFactory as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns all pages: path from the root, and text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = vec![PathBuf::from("README.md"), "CHANGELOG.md".into(), "tests/cluster/README.md".into()];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("the folder can be read") {
            let path = folder.join(entry.expect("it can be read").file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Returns the fenced blocks of a language, each with the text before it.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<(&'a str, &'a str)> {
    let fence = format!("\n```{language}\n");
    page.match_indices(&fence)
        .map(|(at, _)| {
            let block = &page[at + fence.len()..];
            (&page[..at], &block[..block.find("\n```").map_or(block.len(), |end| end + 1)])
        })
        .collect()
}

/// Removes the code from a page.
fn prose(page: &str) -> String {
    let mut fenced = false;
    let lines = page.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && !line.starts_with("```") && !line.starts_with("    ")
    });
    let lines: Vec<String> =
        lines.map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join("`")).collect();
    lines.join("\n")
}

/// Returns the anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for (path, text) in pages() {
        for link in prose(&text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            checked += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name("").join(file) };
            let place = root().join(&target);
            assert!(place.exists(), "{}: {link} leads nowhere", path.display());
            if !heading.is_empty() {
                let found = read(&target).lines().any(|l| l.starts_with('#') && anchor(l) == heading);
                assert!(found, "{}: {link} names no heading", path.display());
            }
        }
    }
    assert!(checked > 30, "{checked} links");
}

#[test]
fn every_page_is_on_the_map() {
    let map = read("docs/README.md");
    for (path, _) in pages() {
        let Ok(page) = path.strip_prefix("docs") else { continue };
        let listed = map.contains(&format!("({})", page.display()))
            || page.starts_with("decisions")
            || page == Path::new("README.md");
        assert!(listed, "docs/README.md does not name {}", page.display());
    }
}

#[test]
fn the_flags_of_run_are_those_of_the_program() {
    let program = backstay::cli::Cli::command();
    let run = program.find_subcommand("run").expect("there is a command run");
    let mut table = String::from("| flag | environment | default | meaning |\n| --- | --- | --- | --- |\n");
    for flag in run.get_arguments().filter(|a| a.get_id() != "help") {
        let long = flag.get_long().expect("every flag has a long name");
        let env = flag.get_env().and_then(|e| e.to_str()).expect("every flag has a variable");
        let default = flag.get_default_values().first().and_then(|d| d.to_str());
        let default = default.map(|d| format!("`{d}`")).unwrap_or_default();
        let meaning = flag.get_help().map(ToString::to_string).unwrap_or_default();
        table.push_str(&format!("| `--{long}` | `{env}` | {default} | {meaning} |\n"));
    }
    let page = read("docs/operations/configure.md");
    assert!(page.contains(&table), "docs/operations/configure.md should have this table:\n{table}");
}

#[test]
fn the_pod_policy_is_the_one_of_the_program() {
    let page = read("docs/operations/pods.md");
    for (name, rules) in
        [("baseline", &BASELINE[..]), ("beyond", &BEYOND[..]), ("restricted", &RESTRICTED[..])]
    {
        let mut table = format!(
            "<!-- {name} -->\n| control | fields | allowed beside absent and null |\n| --- | --- | --- |\n"
        );
        for rule in rules {
            let fields: Vec<_> = rule.names().map(|field| format!("`{field}`")).collect();
            let values = rule.values.words();
            table.push_str(&format!("| {} | {} | {values} |\n", rule.control, fields.join(", ")));
        }
        assert!(page.contains(&table), "docs/operations/pods.md should have this table:\n{table}");
    }
}

#[test]
fn the_triggers_are_those_of_the_controller() {
    let mut table = String::from("<!-- triggers -->\n\n| when | reconciled | why |\n| --- | --- | --- |\n");
    for trigger in TRIGGERS {
        let reconciled = trigger.reconciled.join(", ");
        table.push_str(&format!("| {} | {reconciled} | {} |\n", trigger.when, trigger.why));
    }
    table.push_str("\n<!-- /triggers -->");
    assert!(read("docs/wakes.md").contains(&table), "docs/wakes.md should have this table:\n{table}");
}

#[test]
fn the_bounds_of_objects_are_those_of_the_code() {
    use backstay_api::bounds;
    let page = read("docs/limits.md");
    let table = page.split_once("<!-- objects -->").expect("there is a table").1;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(3)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let bounds = [
        bounds::NAME_BYTES,
        bounds::CRON_BYTES,
        bounds::FREE_FORM_BYTES,
        bounds::FREE_FORM_LEVELS,
        bounds::FREE_FORM_VALUES,
        bounds::PAIRS_ENTRIES,
        bounds::PAIRS_BYTES,
        bounds::UNDERLYING_RESOURCES_BYTES,
    ];
    assert_eq!(rows.len(), bounds.len());
    for (row, bound) in rows.iter().zip(bounds) {
        let digits: String = row[1].chars().filter(char::is_ascii_digit).collect();
        let unit = if row[1].ends_with("KiB") { 1 << 10 } else { 1 };
        assert_eq!(digits.parse::<usize>().expect("a number") * unit, bound, "{}", row[0]);
    }
}

#[test]
fn the_metrics_are_those_that_are_served() {
    let metrics = Metrics::default();
    metrics.run_ended("BackupJob", "Succeeded", "BackupCompleted", 1.0);
    metrics.called("job", "render", "ok", 0.001);
    metrics.slot("Fired");
    metrics.projected("platform", None);
    metrics.panicked("reconcile", "BackupJob");
    metrics.unreadable("RestoreJob", "tenant");
    metrics.fields_not_kept("BackupJob", 1);
    metrics.other_writer("BackupJob");
    metrics.mended("lock");
    let _ = metrics.longest_poll("watch Backup".to_owned());
    let text = metrics.text();
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let help = format!("# HELP {name} ");
        let help = text.lines().find_map(|l| l.strip_prefix(&help)).expect("every metric has a help");
        let samples = text.lines().filter(|l| l.starts_with(name)).filter_map(|l| l.split('{').nth(1));
        let mut labels: Vec<&str> = samples
            .flat_map(|l| l.split('}').next().unwrap_or_default().split(','))
            .filter_map(|pair| pair.split('=').next())
            .filter(|label| *label != "le")
            .collect();
        labels.sort_unstable();
        labels.dedup();
        let labels = labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ");
        let row = format!("| `{name}` | {kind} | {labels} | {} |\n", help.trim_end_matches('.'));
        rows.insert(name.to_owned(), row.replace("|  |", "| |"));
    }
    let page = read("docs/operations/metrics.md");
    let table: String = rows.values().map(String::as_str).collect();
    assert!(page.contains(&table), "docs/operations/metrics.md should have these rows:\n{table}");
    let alerts = page.split("## Alerts").nth(1).expect("there are alerts");
    let named: Vec<&str> = alerts
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("backstay_"))
        .collect();
    assert!(named.len() >= 5, "{named:?}");
    for name in named {
        let base = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(rows.contains_key(base.unwrap_or(name)), "an alert asks for {name}, which is not served");
    }
}

/// Checks that a type keeps all fields of an object.
fn accepted<T: DeserializeOwned + Serialize>(object: &Value, place: &str) {
    let decoded: T = serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{place}: {e}"));
    let again = serde_json::to_value(&decoded).expect("it can be written");
    assert!(holds(&again["spec"], &object["spec"]), "{place}: a field is not known: {object}");
}

fn holds(all: &Value, part: &Value) -> bool {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => {
            part.iter().all(|(key, value)| all.get(key).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(all), Value::Array(part)) => {
            all.len() == part.len() && all.iter().zip(part).all(|(all, part)| holds(all, part))
        }
        _ => all == part,
    }
}

#[test]
fn every_object_in_a_page_is_accepted() {
    let strategy = |object: &Value, place: &str| {
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        let found = Built::strategy(root().join("strategies").join(kind)).validate(&object.to_string());
        assert!(found.is_empty(), "{place}: {found:?}");
    };
    let mut checked = 0;
    for (path, text) in pages() {
        for (before, block) in blocks(&text, "yaml") {
            let place = format!("{}, line {}", path.display(), before.lines().count() + 2);
            for document in block.split("\n---\n") {
                let object: Value =
                    serde_saphyr::from_str(document).unwrap_or_else(|e| panic!("{place}: {e}"));
                checked += 1;
                match object["kind"].as_str() {
                    Some("BackupClass") => accepted::<BackupClass>(&object, &place),
                    Some("BackupJob") => accepted::<BackupJob>(&object, &place),
                    Some("RestoreJob") => accepted::<RestoreJob>(&object, &place),
                    Some("Plan") => accepted::<Plan>(&object, &place),
                    Some(kind) if root().join("strategies").join(kind.to_lowercase()).is_dir() => {
                        strategy(&object, &place);
                    }
                    // The limits of a component.
                    None if object["fuel"].is_number() => {
                        let file = Path::new("job.limits.yaml");
                        limits::read(document, file, Limits::default())
                            .unwrap_or_else(|e| panic!("{place}: {e}"));
                    }
                    // Part of a container, with templates.
                    None if object["args"].is_array() => {
                        let dialect = if before.contains("\n## minijinja") { "minijinja" } else { "go" };
                        let container = json!({"name": "a", "image": "b", "args": object["args"]});
                        let spec =
                            json!({"dialect": dialect, "template": {"spec": {"containers": [container]}}});
                        let object = json!({
                            "apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "Job", "spec": spec,
                        });
                        strategy(&object, &place);
                    }
                    other => panic!("{place}: no test for {other:?}"),
                }
            }
        }
    }
    assert!(checked >= 7, "{checked} objects");
}

#[test]
fn the_conditions_and_phases_are_explained() {
    let page = read("docs/operations/status.md");
    use backstay_api::{conditions::types, phase};
    for word in [phase::PENDING, phase::RUNNING, phase::SUCCEEDED, phase::FAILED, phase::READY]
        .iter()
        .chain(types::ALL)
    {
        assert!(page.contains(&format!("\n| `{word}` |")), "{word}");
    }
}

#[test]
fn the_strategy_of_the_authors_page_is_the_one_that_is_built_and_tested() {
    let page = read("docs/authors/pod-strategy.md");
    let code: Vec<&str> =
        ["toml", "rust"].iter().flat_map(|l| blocks(&page, l)).map(|(_, block)| block).collect();
    assert_eq!(code.len(), 3, "a manifest, the strategy, its tests");
    for block in code {
        let (title, code) = block.split_once('\n').expect("it has a title");
        let file = title.rsplit(' ').next().expect("it names its file");
        let built = read(Path::new("examples").join(file));
        if file.ends_with(".toml") {
            // The paths to the SDK, and the workspace's own settings, differ.
            let code = code.replace("../backstay/sdk", "../../sdk");
            let missing: Vec<&str> = code.lines().filter(|line| !built.lines().any(|l| l == *line)).collect();
            assert!(missing.is_empty(), "examples/{file} lacks {missing:?}");
        } else {
            assert!(built == code, "examples/{file} differs from the page");
        }
    }
}

#[test]
fn every_shell_block_is_run_by_a_test() {
    let script = read("tests/install/install");
    for (path, text) in pages() {
        let page = path.file_stem().and_then(|s| s.to_str()).expect("it has a name");
        if blocks(&text, "sh").is_empty() || page == "pod-strategy" {
            continue;
        }
        let run =
            script.lines().any(|l| l.contains("for page in") && l.split([' ', ';']).any(|word| word == page));
        assert!(
            run && path.starts_with("docs/operations"),
            "{} has commands that no test runs",
            path.display()
        );
    }
    // The command of the authors' page is the one that `make components` runs for our strategies.
    assert!(read("Makefile").contains("build-strategy strategies/$$s --out"));
}
