//! A recording without what nobody asked about, small enough to be kept.

use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::line::{Line, What};
use crate::play::kind_of;

/// Returns the lines of a recording without the objects of kinds that no request names. Namespaces, definitions and ServiceAccounts stay:
/// others depend on them. Roles go, so what RBAC would allow must not be asked for.
///
/// # Errors
/// A line cannot be read.
pub fn trim(text: &str) -> anyhow::Result<String> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| Line::read(line).with_context(|| format!("line {}", number + 1)));
    let lines: Vec<Line> = lines.collect::<anyhow::Result<_>>()?;
    let mut kinds = BTreeSet::from([
        (String::new(), "namespaces".to_owned()),
        (String::new(), "serviceaccounts".to_owned()),
        ("apiextensions.k8s.io".to_owned(), "customresourcedefinitions".to_owned()),
    ]);
    for line in &lines {
        if let What::Request(request) = &line.what {
            kinds.insert(kind_of(&request.method, &request.target));
        }
    }
    let named = |group: &str, plural: &str| kinds.contains(&(group.to_owned(), plural.to_owned()));
    let mut kept = String::new();
    for line in lines {
        let keeps = match &line.what {
            What::State { group, plural, .. } | What::Change { group, plural, .. } => named(group, plural),
            _ => true,
        };
        if keeps {
            kept.push_str(&serde_json::to_string(&line)?);
            kept.push('\n');
        }
    }
    Ok(kept)
}
