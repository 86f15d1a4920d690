//! Prints the structure of a checkout of the repository as Markdown.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backstay_house::{FLOORS_PAGE, Figures, HouseError, Source, TREES, Tree, circles, floors, report};
use clap::Parser;

/// Print the structure of a checkout: files, circles, arrows to a higher floor, lines.
#[derive(Parser)]
struct Arguments {
    /// The checkout, of this or an earlier version.
    #[arg(long, default_value = ".", value_name = "DIR")]
    repo: PathBuf,
    /// Print the arrows of this source folder instead, such as host/src.
    #[arg(long, value_name = "TREE", conflicts_with = "circles")]
    arrows: Option<String>,
    /// Print the files of each circle of this source folder instead.
    #[arg(long, value_name = "TREE")]
    circles: Option<String>,
}

fn main() -> ExitCode {
    let printed = text(&Arguments::parse()).map(|text| std::io::stdout().write_all(text.as_bytes()));
    match printed {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error.to_string()),
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("house: {error}");
    ExitCode::FAILURE
}

fn text(arguments: &Arguments) -> Result<String, HouseError> {
    if let Some(name) = &arguments.arrows {
        return Ok(tree(&arguments.repo, name)?.arrows().iter().map(|arrow| format!("{arrow}\n")).collect());
    }
    if let Some(name) = &arguments.circles {
        let arrows = tree(&arguments.repo, name)?.arrows().into_iter().map(|arrow| (arrow.from, arrow.to));
        return Ok(circles::circles(arrows).iter().map(|files| format!("{}\n", files.join(" "))).collect());
    }
    let page = std::fs::read_to_string(arguments.repo.join(FLOORS_PAGE)).unwrap_or_default();
    let floors = floors::read(&page)?;
    let mut trees = Vec::new();
    for name in TREES {
        if let Some(source) = Source::read(&arguments.repo, name)? {
            trees.push((name.to_owned(), Figures::of(&Tree::parse(&source)?, floors.get(name))));
        }
    }
    Ok(report::page(&trees))
}

fn tree(repo: &Path, name: &str) -> Result<Tree, HouseError> {
    let source = Source::read(repo, name.trim_end_matches('/'))?;
    Tree::parse(&source.ok_or_else(|| HouseError::NoTree(name.to_owned()))?)
}
