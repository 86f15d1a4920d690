//! Differences that are meant.

use anyhow::Context as _;
use regex_lite::Regex;

/// The table of differences that are meant: `request | pattern of the difference | why`. A pattern after `whole:` stands for all
/// differences of a request: another answer differs in everything.
pub(super) struct Declared {
    rows: Vec<Row>,
}

struct Row {
    request: Regex,
    difference: Regex,
    whole: bool,
    text: String,
    met: bool,
}

impl Declared {
    /// Reads a table.
    ///
    /// # Errors
    /// A row has not three columns, or a pattern is none.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let rows = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let rows = rows.map(|line| {
            let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [request, difference, why] = columns.as_slice() else {
                anyhow::bail!("not `request | difference | why`: {line}");
            };
            anyhow::ensure!(!why.is_empty(), "no reason: {line}");
            let request = Regex::new(&format!("^(?:{request})$")).context("a pattern of requests")?;
            let whole = difference.starts_with("whole:");
            let difference = Regex::new(difference.trim_start_matches("whole:").trim())
                .context("a pattern of differences")?;
            Ok(Row { request, difference, whole, text: line.to_owned(), met: false })
        });
        Ok(Self { rows: rows.collect::<anyhow::Result<_>>()? })
    }

    /// Whether all these differences of a request are meant.
    pub(super) fn meant(&mut self, request: &str, differences: &[String]) -> bool {
        let whole = |row: &&mut Row| row.whole && row.request.is_match(request);
        for row in self.rows.iter_mut().filter(whole) {
            if differences.iter().any(|difference| row.difference.is_match(difference)) {
                row.met = true;
                return true;
            }
        }
        let mut met = Vec::new();
        for difference in differences {
            let fits = |row: &Row| {
                !row.whole && row.request.is_match(request) && row.difference.is_match(difference)
            };
            match self.rows.iter().position(fits) {
                Some(at) => met.push(at),
                None => return false,
            }
        }
        met.into_iter().filter_map(|at| self.rows.get_mut(at).map(|row| row.met = true)).count();
        true
    }

    /// The rows that nothing has met.
    pub(super) fn unmet(&self) -> Vec<String> {
        self.rows.iter().filter(|row| !row.met).map(|row| row.text.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_meant_if_a_row_says_so_and_a_row_that_is_not_met_is_told() {
        let mut declared =
            Declared::read("# why\nget pods | ^/status: | a reason\nlist pods | x | b").expect("rows");
        assert!(!declared.meant("get pods", &["/status: a".into(), "/spec: b".into()]));
        assert!(declared.meant("get pods", &["/status: a".into()]));
        assert_eq!(declared.unmet(), ["list pods | x | b"]);
        assert!(Declared::read("get pods | x").is_err());
        let mut whole = Declared::read("get pods | whole: ^/code: | a reason").expect("a row");
        assert!(whole.meant("get pods", &["/spec: b".into(), "/code: recorded 200, got 404".into()]));
    }
}
