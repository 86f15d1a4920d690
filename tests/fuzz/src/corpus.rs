//! The seeds of the generators: the templates and contexts of the SDK's tables, and the documented functions.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

/// Templates of people and tests, with their contexts.
pub(crate) struct Corpus {
    pub go: Vec<String>,
    pub minijinja: Vec<String>,
    pub contexts: Vec<Value>,
    /// The names in the function table of `docs/templates.md`.
    pub functions: Vec<String>,
}

pub(crate) static CORPUS: LazyLock<Corpus> = LazyLock::new(|| {
    let cases: Vec<Case> = read(include_str!("../../../sdk/tests/data/template-cases.json"));
    let more: Table = read(include_str!("../../../sdk/tests/data/template-cases-more.json"));
    let minijinja: Table = read(include_str!("../../../sdk/tests/data/minijinja-cases.json"));
    let mut contexts: Vec<Value> = cases.iter().map(|case| case.context.clone()).collect();
    contexts.dedup();
    contexts.push(more.context);
    contexts.extend(minijinja.contexts.as_object().into_iter().flatten().map(|(_, c)| c.clone()));
    contexts.push(json!({}));
    let templates = |cases: Vec<Case>| cases.into_iter().map(|case| case.template);
    Corpus {
        go: templates(cases).chain(templates(more.cases)).collect(),
        minijinja: templates(minijinja.cases).collect(),
        contexts,
        functions: functions(include_str!("../../../docs/templates.md")),
    }
});

#[derive(Deserialize)]
struct Case {
    template: String,
    #[serde(default)]
    context: Value,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    context: Value,
    #[serde(default)]
    contexts: Value,
    cases: Vec<Case>,
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> T {
    // The SDK's own tests fail if a table is no JSON.
    serde_json::from_str(text).expect("the tables are JSON")
}

fn functions(document: &str) -> Vec<String> {
    let section = document.split("### Functions").nth(1).unwrap_or_default();
    let section = section.split("\n### ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).flat_map(str::split_whitespace);
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::CORPUS;

    #[test]
    fn the_corpus_is_there() {
        assert!(CORPUS.go.len() > 1000 && CORPUS.minijinja.len() > 100 && CORPUS.contexts.len() > 10);
        assert!(CORPUS.functions.iter().any(|name| name == "regexReplaceAll"), "{:?}", CORPUS.functions);
    }
}
