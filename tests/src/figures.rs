//! Figures of two builds, side by side.

use std::fmt::Write;

/// How much worse than the build before a figure may be until it is told.
const WORSE: f64 = 1.1;

/// What a figure counts. Less is better of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Megabytes: millions of bytes.
    Megabytes,
    /// A number of something.
    Number,
    /// A ratio of two other figures.
    Ratio,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Microseconds => format!("{value:.0} µs"),
            Self::Milliseconds if value >= 1000.0 => format!("{:.1} s", value / 1000.0),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Number => format!("{value:.0}"),
            Self::Ratio => format!("{value:.2}"),
        }
    }
}

/// A figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is of.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// That of this build.
    pub now: f64,
    /// That of the build before.
    pub before: Option<f64>,
    /// What is wanted, in words; empty: nothing is.
    pub wanted: &'static str,
}

/// Figures in the order in which they were measured.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Adds a figure.
    pub fn add(&mut self, figure: Figure) {
        self.0.push(figure);
    }

    /// Returns a table in Markdown, and after it what became worse by more than a tenth.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = "| | before | now | ratio | wanted |\n| --- | --- | --- | --- | --- |\n".to_owned();
        for figure in &self.0 {
            let shown = |value: Option<f64>| value.map(|v| figure.unit.show(v)).unwrap_or_default();
            let ratio = figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {ratio} | {} |",
                figure.name,
                shown(figure.before),
                shown(Some(figure.now)),
                figure.wanted
            );
        }
        text.push_str(&self.worse());
        text
    }

    /// Returns what became worse by more than a tenth, in Markdown.
    #[must_use]
    pub fn worse(&self) -> String {
        let mut text = String::new();
        let worse: Vec<_> = self.0.iter().filter(|f| f.ratio().is_some_and(|ratio| ratio > WORSE)).collect();
        if self.0.iter().all(|figure| figure.before.is_none()) {
            text.push_str("\nNothing to compare with.\n");
        } else if worse.is_empty() {
            text.push_str("\nNothing became worse by more than a tenth.\n");
        } else {
            text.push_str("\nWorse by more than a tenth:\n\n");
            for figure in worse {
                let _ = writeln!(text, "- {}: {:.2} times", figure.name, figure.ratio().unwrap_or_default());
            }
        }
        text
    }
}

impl Figure {
    /// How many times the figure of the build before this one is; `None` if there is none, or it is zero.
    fn ratio(&self) -> Option<f64> {
        let before = self.before.filter(|before| *before > 0.0)?;
        Some(self.now / before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, before: Option<f64>, now: f64) -> Figure {
        Figure { name: name.into(), unit: Unit::Milliseconds, now, before, wanted: "" }
    }

    #[test]
    fn what_became_worse_by_more_than_a_tenth_is_listed_after_the_table() {
        let mut figures = Figures::default();
        figures.add(figure("better", Some(100.0), 50.0));
        figures.add(figure("hardly worse", Some(100.0), 109.0));
        figures.add(figure("worse", Some(1000.0), 1500.0));
        figures.add(figure("new", None, 5.0));
        figures.add(figure("was nothing", Some(0.0), 5.0));
        let text = figures.text();
        assert!(text.contains("| worse | 1.0 s | 1.5 s | 1.50 |  |\n"), "{text}");
        assert!(text.contains("| new |  | 5.0 ms |  |  |\n"), "{text}");
        assert!(text.ends_with("\nWorse by more than a tenth:\n\n- worse: 1.50 times\n"), "{text}");
    }

    #[test]
    fn it_is_said_that_nothing_became_worse_or_that_there_is_nothing_to_compare_with() {
        let mut figures = Figures::default();
        figures.add(figure("a", None, 5.0));
        assert!(figures.text().ends_with("\nNothing to compare with.\n"));
        figures.add(figure("b", Some(5.0), 5.0));
        assert!(figures.text().ends_with("\nNothing became worse by more than a tenth.\n"));
    }
}
