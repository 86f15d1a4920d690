//! No answer of the API server is decoded as a whole.

use std::path::Path;

/// Files that may name `kube::Api`, and why.
const ALLOWED: [(&str, &str); 9] = [
    ("cluster/checked_names.rs", "its tests have no object"),
    ("cluster/api.rs", "decodes in parts"),
    ("cluster/client.rs", "its tests have no object"),
    ("cluster/error.rs", "its tests have no object"),
    ("cluster/stand_in.rs", "its tests have objects of their own"),
    ("run/draining.rs", "lists what decodes in parts, and counts what does not"),
    ("run/pod_logs.rs", "reads logs, which are text"),
    ("run/steps/act.rs", "the answer to an access review is the API server's alone"),
    ("run/steps/observe.rs", "reads logs, which are text"),
];

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// `managedFields` with a time that no decoder takes, or 130 levels in a field that nobody reads, make an answer of `kube::Api`
/// undecodable: a tenant could stop whoever reads the object.
#[test]
fn t19_every_answer_of_the_api_server_is_decoded_in_parts() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    assert!(all.len() > 60, "{}", all.len());
    for path in all {
        let name = path.strip_prefix(&source).expect("it is below").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let imports = text.lines().filter(|line| line.trim_start().starts_with("use kube::"));
        let imported = imports
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .any(|word| word == "Api");
        let named = imported || text.contains("kube::Api<") || text.contains("kube::Api::<");
        let allowed = ALLOWED.iter().any(|(file, _)| *file == name);
        assert!(!named || allowed, "{name} names kube::Api: use crate::cluster::api::Api");
    }
}
