//! The source folders obey the floors of `docs/architecture.md`, and none of their files lead in a circle.

use std::path::Path;

use backstay_house::{FLOORS_PAGE, Source, TREES, Tree, floors};

/// The source folders that must have a table of floors.
const WITH_FLOORS: &[&str] = &["host/engine/src", "sdk/src", "sdk/testing/src", "strategies/cnpg/src"];

#[test]
fn every_source_folder_obeys_its_floors() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(repo.join(FLOORS_PAGE)).expect("the page can be read");
    let tables = floors::read(&page).unwrap_or_else(|error| panic!("{error}"));
    for name in WITH_FLOORS {
        assert!(tables.contains_key(*name), "{FLOORS_PAGE} has no table of floors for {name}");
    }
    let mut problems = Vec::new();
    for (name, floors) in &tables {
        assert!(
            TREES.contains(&name.as_str()),
            "{FLOORS_PAGE} has floors of {name}, which is no source folder"
        );
        let source = Source::read(&repo, name).unwrap_or_else(|error| panic!("{error}"));
        let source = source.unwrap_or_else(|| panic!("{name} does not exist"));
        let tree = Tree::parse(&source).unwrap_or_else(|error| panic!("{error}"));
        problems.extend(floors.check(&tree).into_iter().map(|problem| format!("{name}: {problem}")));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
