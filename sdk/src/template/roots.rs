//! The keys at the top of a context, and texts that name others: `{{ range .Mounts }}` is most likely another tool's.

/// The keys of every context.
pub(crate) const KEYS: [&str; 5] = ["Application", "Backup", "Mode", "Parameters", "Release"];

/// The keys that a template may name at the top: those of every context, and the strategy's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots {
    own: Vec<String>,
}

impl Roots {
    pub(crate) fn new<S: AsRef<str>>(own: impl IntoIterator<Item = S>) -> Self {
        let mut own: Vec<String> = own.into_iter().map(|key| key.as_ref().to_owned()).collect();
        own.sort_unstable();
        own.dedup();
        Self { own }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        KEYS.contains(&key) || self.own.iter().any(|own| own == key)
    }

    /// Returns why a key is reported. `dot` stands before each key.
    pub(crate) fn complaint(&self, key: &str, dot: &str, escape: &str) -> String {
        let keys = KEYS.iter().copied().chain(self.own.iter().map(String::as_str));
        let all: Vec<String> = keys.map(|key| format!("{dot}{key}")).collect();
        format!("there is never a {dot}{key}: a template sees {}{escape}", all.join(", "))
    }
}
