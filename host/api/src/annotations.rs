//! Annotations.

use std::collections::BTreeMap;

use crate::names;

/// Prefix of the CRDs' annotations by which a web console builds its drop-downs: `<prefix><spec path>` names the source
/// of the choices.
pub const OPTIONS_SOURCE_PREFIX: &str = "options.cozystack.io/source.";

/// On a restore that has begun, and on a backup that takes steps: name and uid of its object, `<name>/<uid>`. The controller
/// writes it before the run does anything. Backup tools keep annotations and give a restored object another uid, so the two
/// then differ.
pub const BEGUN: &str = "backstay.dev/begun";
/// On a run that another tool restored: somebody wants it to run. The value is the uid of the object, so that the
/// permission does not come back with a later restore.
pub const RUN_AGAIN: &str = "backstay.dev/run-again";
/// On a Backup: what its status says of the data and of how to restore it, as JSON. Backup tools lose the status, and older
/// CRDs a part of it.
pub const RECORDED: &str = "backstay.dev/recorded";
/// On an object that the controller has created: its name, and when, `<name>/<seconds since 1970>`. An object that is younger
/// came back from somewhere.
pub const MADE_AT: &str = "backstay.dev/made-at";

/// Puts `value` under `key` into the labels. A value too long for a label is shortened as names are, and an annotation of
/// the same key holds it whole (docs/rules.md F11).
pub fn label_or_annotate(
    labels: &mut BTreeMap<String, String>,
    annotations: &mut BTreeMap<String, String>,
    key: &str,
    value: &str,
) {
    let label = names::label_value(value);
    if label != value {
        annotations.insert(key.to_owned(), value.to_owned());
    }
    labels.insert(key.to_owned(), label);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::OWNED_BY_NAME;

    #[test]
    fn a_short_value_is_a_label_alone() {
        let (mut labels, mut annotations) = (BTreeMap::new(), BTreeMap::new());
        label_or_annotate(&mut labels, &mut annotations, OWNED_BY_NAME, "nightly");
        assert_eq!(labels[OWNED_BY_NAME], "nightly");
        assert!(annotations.is_empty());
    }

    #[test]
    fn a_long_value_is_shortened_in_the_label_and_whole_in_the_annotation() {
        let (mut labels, mut annotations) = (BTreeMap::new(), BTreeMap::new());
        let long = "n".repeat(64);
        label_or_annotate(&mut labels, &mut annotations, OWNED_BY_NAME, &long);
        assert_eq!(labels[OWNED_BY_NAME].len(), 63);
        assert_eq!(annotations[OWNED_BY_NAME], long);
    }
}
