//! Bounds of fields that have no schema. Those of other fields are in the CRDs.

use super::{Parts, Policy, Resources, Validation, own_group, policy, quoted};

/// Most levels of maps and lists in `spec.options` of a RestoreJob, `options` itself included.
pub const OPTIONS_LEVELS: usize = 16;
/// Most entries of each map and list in it.
pub const OPTIONS_ENTRIES: usize = 256;
/// Most characters of each text and key in it.
pub const OPTIONS_TEXT: usize = 4096;

/// CEL has neither recursion nor a size of JSON: a walk over sixteen levels is sixteen loops, one in the other. What is too
/// wide is not walked. The API server ends an expression that costs too much, and that is a refusal too, which quotes the
/// expression: hence the names of the variables.
pub(super) fn options() -> Policy {
    let changed = "has(object.spec) && has(object.spec.options) && \
         (oldObject == null || oldObject.?spec.options != object.?spec.options)";
    let names = [
        format!("optionsHaveAtMost{OPTIONS_ENTRIES}EntriesAMapOrList"),
        format!("optionsHaveAtMost{OPTIONS_LEVELS}Levels"),
        format!("optionsHaveAtMost{OPTIONS_TEXT}CharactersAText"),
    ];
    let nothing = |_: &str, _: &str| "true".to_owned();
    let short = |key: &str, value: &str| {
        format!(
            "(type({key}) != string || size({key}) <= {OPTIONS_TEXT}) && (type({value}) != string || size({value}) <= {OPTIONS_TEXT})"
        )
    };
    let walks = [
        walk("object.spec.options", 1, &Walk { wide: "false", deep: "true", each: &nothing }),
        walk("object.spec.options", 1, &Walk { wide: "true", deep: "false", each: &nothing }),
        walk("object.spec.options", 1, &Walk { wide: "true", deep: "true", each: &short }),
    ];
    let messages = [
        format!("spec.options: a map or list is too long, at most {OPTIONS_ENTRIES} entries are allowed"),
        format!("spec.options: too many maps and lists in one another, at most {OPTIONS_LEVELS} levels are allowed"),
        format!("spec.options: a text or key is too long, at most {OPTIONS_TEXT} characters are allowed"),
    ]
    .map(|message| quoted(&message));
    let variables: Vec<(&str, &str)> =
        names.iter().zip(&walks).map(|(name, walk)| (name.as_str(), walk.as_str())).collect();
    let rules = names.iter().zip(&messages);
    policy(Parts {
        name: "backstay-bounds",
        purpose: "The options of a RestoreJob are bounded in levels, entries and lengths of texts.",
        about: Resources {
            groups: &own_group(),
            operations: &["CREATE", "UPDATE"],
            resources: &["restorejobs"],
        },
        only_if: changed,
        variables: &variables,
        validations: rules
            .map(|(name, message)| Validation { expression: format!("variables.{name}"), message })
            .collect(),
    })
}

/// What a walk makes of the values that it meets, in CEL.
struct Walk<'a> {
    /// The value of a map or list with too many entries.
    wide: &'a str,
    /// The value of a map or list below the last level.
    deep: &'a str,
    /// A condition on each key and value.
    each: &'a dyn Fn(&str, &str) -> String,
}

/// CEL: whether a walk over everything in `of` finds all well.
fn walk(of: &str, level: usize, how: &Walk<'_>) -> String {
    let (key, value) = (format!("k{level}"), format!("v{level}"));
    let below = if level < OPTIONS_LEVELS { walk(&value, level + 1, how) } else { how.deep.to_owned() };
    let each = (how.each)(&key, &value);
    format!(
        "(size({of}) > {OPTIONS_ENTRIES} ? {} : {of}.all({key}, {value}, {each} && \
         (type({value}) != map && type({value}) != list || {below})))",
        how.wide
    )
}
