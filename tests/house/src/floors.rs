//! The floors of a source folder: which module may name which.
//!
//! The section `## Floors` of `docs/architecture.md` has a table for each source folder, under a heading such as
//! `### host/src`. A row gives a floor, 1 the lowest, and its modules in backticks, a folder with a `/` at its end or a file.
//! Where several modules match a file, the longest counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::circles::circles;
use crate::{Arrow, HouseError, Tree};

/// The tables of all source folders, by the name of the folder.
pub type Tables = BTreeMap<String, Floors>;

/// The floors of one source folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floors {
    /// The floor of each module.
    modules: BTreeMap<String, u32>,
}

/// A departure from the floors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No row of the table matches a file.
    NoFloor {
        /// The file.
        file: String,
    },
    /// No file matches a module of the table.
    NoFile {
        /// The module.
        module: String,
    },
    /// A file names an item of a higher floor.
    Up {
        /// The arrow.
        arrow: Arrow,
        /// Floors of both ends.
        floors: (u32, u32),
    },
    /// Files that lead to each other.
    Circle {
        /// The arrows between them.
        arrows: Vec<Arrow>,
    },
    /// Modules of one floor that lead to each other.
    ModuleCircle {
        /// The modules.
        modules: Vec<String>,
        /// The arrows between them.
        arrows: Vec<Arrow>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, arrows: &[Arrow]| {
            arrows.iter().try_for_each(|arrow| write!(f, "\n  {arrow}"))
        };
        match self {
            Self::NoFloor { file } => write!(f, "{file}: has no floor"),
            Self::NoFile { module } => write!(f, "the table names `{module}`, which does not exist"),
            Self::Up { arrow, floors: (from, to) } => {
                write!(f, "from floor {from} up to floor {to}: {arrow}")
            }
            Self::Circle { arrows } => {
                write!(f, "circle of files:")?;
                list(f, arrows)
            }
            Self::ModuleCircle { modules, arrows } => {
                write!(f, "circle of modules of one floor, {}:", modules.join(", "))?;
                list(f, arrows)
            }
        }
    }
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}` is defined in {}", self.from, self.line, self.path, self.to)
    }
}

/// Reads the section `## Floors` of a page. A page without one has no tables.
///
/// # Errors
/// A row whose first column is no number or whose second names no module, and a module that occurs twice.
pub fn read(page: &str) -> Result<Tables, HouseError> {
    let mut tables = Tables::new();
    let (mut inside, mut current) = (false, None);
    for (line, text) in (1..).zip(page.lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            inside = heading.trim() == "Floors";
            current = None;
        } else if let Some(heading) = text.strip_prefix("### ").filter(|_| inside) {
            current = Some(heading.trim_matches([' ', '`']).to_owned());
        } else if let Some((name, row)) = current.as_ref().zip(text.strip_prefix('|')) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            if cells[0] == "floor" || cells[0].starts_with('-') {
                continue;
            }
            let failed = |message: String| HouseError::Floors { line, message };
            let floor = cells[0].parse().map_err(|_| failed(format!("{:?} is no floor", cells[0])))?;
            let modules: Vec<&str> = cells.get(1).unwrap_or(&"").split('`').skip(1).step_by(2).collect();
            if modules.is_empty() {
                return Err(failed("the row names no module in backticks".to_owned()));
            }
            let floors: &mut Floors = tables.entry(name.clone()).or_default();
            for module in modules {
                if floors.modules.insert(module.to_owned(), floor).is_some() {
                    return Err(failed(format!("{module} has two rows")));
                }
            }
        }
    }
    Ok(tables)
}

impl Floors {
    /// Returns every departure of `tree` from these floors.
    #[must_use]
    pub fn check(&self, tree: &Tree) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut used = BTreeSet::new();
        for file in &tree.files {
            match self.module_of(&file.path) {
                Some((module, _)) => drop(used.insert(module)),
                None => problems.push(Problem::NoFloor { file: file.path.clone() }),
            }
        }
        let unused = self.modules.keys().filter(|module| !used.contains(module.as_str()));
        problems.extend(unused.map(|module| Problem::NoFile { module: module.clone() }));

        let arrows = tree.arrows();
        problems.extend(self.up(&arrows));
        let ends = |arrow: &Arrow| (arrow.from.clone(), arrow.to.clone());
        for files in circles(arrows.iter().map(ends)) {
            let of = |arrow: &&Arrow| files.contains(&arrow.from) && files.contains(&arrow.to);
            problems.push(Problem::Circle { arrows: arrows.iter().filter(of).cloned().collect() });
        }
        let ends = |arrow: &Arrow| {
            let (from, to) = self.module_of(&arrow.from).zip(self.module_of(&arrow.to))?;
            (from.1 == to.1 && from != to).then(|| (from.0.to_owned(), to.0.to_owned()))
        };
        for modules in circles(arrows.iter().filter_map(ends)) {
            let of = |arrow: &&Arrow| {
                ends(arrow).is_some_and(|(from, to)| modules.contains(&from) && modules.contains(&to))
            };
            let arrows = arrows.iter().filter(of).cloned().collect();
            problems.push(Problem::ModuleCircle { modules, arrows });
        }
        problems
    }

    /// Returns the arrows that lead to a higher floor.
    #[must_use]
    pub fn up(&self, arrows: &[Arrow]) -> Vec<Problem> {
        let floor = |file: &str| self.module_of(file).map(|(_, floor)| floor);
        let up = |arrow: &Arrow| {
            let floors = floor(&arrow.from).zip(floor(&arrow.to)).filter(|(from, to)| from < to)?;
            Some(Problem::Up { arrow: arrow.clone(), floors })
        };
        arrows.iter().filter_map(up).collect()
    }

    /// Returns the longest module that matches a file, with its floor.
    fn module_of(&self, file: &str) -> Option<(&str, u32)> {
        let matches = |module: &str| module == file || (module.ends_with('/') && file.starts_with(module));
        let found = self.modules.iter().filter(|(module, _)| matches(module)).max_by_key(|(m, _)| m.len())?;
        Some((found.0, *found.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    const PAGE: &str = "# Page\n\n| not | a table |\n\n## Floors\n\nWords.\n\n### src\n\n\
        | floor | module | what it is | may use |\n| --- | --- | --- | --- |\n\
        | 2 | `run/`, `run/top.rs` | the runs | |\n| 3 | `lib.rs` | the library | all |\n| 1 | `clock.rs` | time | nothing |\n\n\
        ## Other\n\n### else\n\n| a | `b` |\n";

    fn problems(page: &str, files: &[(&str, &str)]) -> Vec<String> {
        let floors = read(page).expect("the tables can be read").remove("src").expect("there is a table");
        let tree = Tree::parse(&Source::of("src", "house", files)).expect("the tree is parsed");
        floors.check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tables_are_read_from_their_section_only() {
        let tables = read(PAGE).expect("the tables can be read");
        assert_eq!(tables.keys().collect::<Vec<_>>(), ["src"]);
        assert_eq!(tables["src"].module_of("run/steps/wake.rs"), Some(("run/", 2)));
        assert_eq!(tables["src"].module_of("run/top.rs"), Some(("run/top.rs", 2)));
        assert_eq!(tables["src"].module_of("runs.rs"), None);
    }

    #[test]
    fn a_table_that_cannot_be_read_is_an_error_with_its_line() {
        for (row, wanted) in [
            ("| one | `a.rs` | |", "no floor"),
            ("| 1 | a.rs | |", "no module"),
            ("| 1 | `a.rs`, `a.rs` |", "two rows"),
        ] {
            let error = read(&format!("## Floors\n### src\n{row}\n")).expect_err(row).to_string();
            assert!(error.starts_with("docs/architecture.md:3: ") && error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn an_arrow_up_is_reported_with_file_and_line() {
        let files = [
            ("lib.rs", "mod clock;\nmod run;"),
            ("clock.rs", "// Time.\nuse crate::run::top::Top;"),
            ("run/mod.rs", "pub mod top;\nuse crate::clock::now;"),
            ("run/top.rs", "pub struct Top;"),
        ];
        assert_eq!(
            problems(PAGE, &files),
            ["from floor 1 up to floor 2: clock.rs:2: `crate::run::top::Top` is defined in run/top.rs"]
        );
    }

    #[test]
    fn a_circle_is_reported_with_files_and_lines() {
        let files = [
            ("lib.rs", "mod clock;\nmod run;"),
            ("clock.rs", ""),
            ("run/mod.rs", "pub mod top;\n\nfn f(_: top::Top) {}\npub struct Run;"),
            ("run/top.rs", "pub struct Top(super::Run);"),
        ];
        let found = problems(PAGE, &files);
        assert!(found[0].starts_with("circle of files:"), "{found:?}");
        assert!(found[0].contains("run/mod.rs:3: `top::Top` is defined in run/top.rs"), "{found:?}");
        assert!(found[0].contains("run/top.rs:1: `super::Run` is defined in run/mod.rs"), "{found:?}");
    }

    #[test]
    fn modules_of_one_floor_have_no_circle_even_if_their_files_have_none() {
        let page = "## Floors\n### src\n| 1 | `a/`, `b/` | |\n| 2 | `lib.rs` | |\n";
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a/mod.rs", "pub mod one;\npub mod two;"),
            ("a/one.rs", "use crate::b::one::B;"),
            ("a/two.rs", "pub struct A;"),
            ("b/mod.rs", "pub mod one;\npub mod two;"),
            ("b/one.rs", "pub struct B;"),
            ("b/two.rs", "use crate::a::two::A;"),
        ];
        let found = problems(page, &files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("circle of modules of one floor, a/, b/:"), "{found:?}");
    }

    #[test]
    fn a_file_without_a_floor_and_a_row_without_a_file_are_reported() {
        let files = [
            ("lib.rs", "mod other;\nmod run;"),
            ("other.rs", ""),
            ("run/mod.rs", "mod top;"),
            ("run/top.rs", ""),
        ];
        assert_eq!(
            problems(PAGE, &files),
            ["other.rs: has no floor", "the table names `clock.rs`, which does not exist"]
        );
    }
}
