//! What came of playing recordings.

use std::collections::BTreeMap;
use std::fmt;

use super::declared::Declared;

/// How many differences are shown of each sort.
const SHOWN: usize = 14;

/// Counts, and what differs.
pub struct Report {
    declared: Declared,
    /// By verb: recorded, compared and the same.
    verbs: BTreeMap<String, (usize, usize)>,
    named: BTreeMap<String, usize>,
    meant: usize,
    events: usize,
    bookmarks: usize,
    differences: BTreeMap<String, (usize, Vec<String>)>,
    unmet: Vec<String>,
}

impl Report {
    pub(super) fn new(declared: Declared) -> Self {
        Self {
            declared,
            verbs: BTreeMap::new(),
            named: BTreeMap::new(),
            meant: 0,
            events: 0,
            bookmarks: 0,
            differences: BTreeMap::new(),
            unmet: Vec::new(),
        }
    }

    pub(super) fn recorded(&mut self, verb: &str, bookmarks: usize) {
        self.verbs.entry(verb.to_owned()).or_default().0 += 1;
        self.bookmarks += bookmarks;
    }

    pub(super) fn same(&mut self, verb: &str) {
        self.verbs.entry(verb.to_owned()).or_default().1 += 1;
    }

    pub(super) fn events(&mut self, count: usize) {
        self.events += count;
    }

    pub(super) fn named(&mut self, reason: String) {
        *self.named.entry(reason).or_default() += 1;
    }

    pub(super) fn differs(&mut self, words: &str, request: &str, differences: Vec<String>) {
        if self.declared.meant(words, &differences) {
            self.meant += 1;
            return;
        }
        let pointer = differences.first().map_or("", |one| one.split(": ").next().unwrap_or_default());
        let pointer: String =
            pointer.chars().map(|one| if one.is_ascii_digit() { '#' } else { one }).collect();
        let sort = self.differences.entry(format!("{words} {pointer}")).or_default();
        sort.0 += 1;
        if sort.1.is_empty() {
            sort.1.push(request.to_owned());
            sort.1.extend(differences.into_iter().take(SHOWN).map(|one| format!("  {one}")));
        }
    }

    pub(super) fn finish(&mut self, part: bool) {
        if !part {
            self.unmet = self.declared.unmet();
        }
    }

    /// Requests that were recorded.
    #[must_use]
    pub fn all(&self) -> usize {
        self.verbs.values().map(|counts| counts.0).sum()
    }

    /// Requests whose answers are the same.
    #[must_use]
    pub fn compared(&self) -> usize {
        self.verbs.values().map(|counts| counts.1).sum()
    }

    fn different(&self) -> usize {
        self.differences.values().map(|sort| sort.0).sum()
    }

    /// Whether something was compared, no answer differs that is not declared, every declared difference was met, and no request is
    /// left out.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.compared() > 0 && self.differences.is_empty() && self.unmet.is_empty() && self.is_whole()
    }

    fn is_whole(&self) -> bool {
        self.all() == self.compared() + self.meant + self.named.values().sum::<usize>() + self.different()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sort, (count, lines)) in &self.differences {
            writeln!(f, "DIFFERENT {count} x {sort}")?;
            lines.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        for row in &self.unmet {
            writeln!(f, "DECLARED, BUT NOT DIFFERENT: {row}")?;
        }
        writeln!(f, "{:<18} {:>9} {:>9}", "verb", "recorded", "the same")?;
        for (verb, (recorded, same)) in &self.verbs {
            writeln!(f, "{verb:<18} {recorded:>9} {same:>9}")?;
        }
        writeln!(f, "not compared:")?;
        for (reason, count) in &self.named {
            writeln!(f, "{count:>9}  {reason}")?;
        }
        writeln!(f, "events of watches: {} the same; {} bookmarks left out", self.events, self.bookmarks)?;
        writeln!(
            f,
            "{} recorded: {} the same, {} not compared, {} different as declared, {} different{}",
            self.all(),
            self.compared(),
            self.named.values().sum::<usize>(),
            self.meant,
            self.different(),
            if self.is_whole() { "" } else { "; THE SUM IS WRONG" }
        )
    }
}
