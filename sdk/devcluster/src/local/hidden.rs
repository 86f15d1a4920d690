//! Variables of a container that the machine's own programs would obey on the way into it: the dynamic loader, the C library and
//! the language of messages. Those programs do not get them. A shell in the container, right before the command, sets them.

use std::collections::BTreeMap;

use super::image::Root;
use super::plan::Plan;

/// What stands before the name of a variable on the way.
const COVER: &str = "DEVCLUSTER_";
/// The shell in the container.
const SHELL: &str = "/bin/sh";
/// What shells put into the environment by themselves.
const OF_SHELLS: [&str; 3] = ["OLDPWD", "PWD", "SHLVL"];

/// Whether programs act in another way because of a variable. Only names that a shell can set count: no program knows others.
fn is_obeyed(name: &str) -> bool {
    is_name(name) && (is_dangerous(name) || is_of_language(name))
}

/// Whether shells know a variable. Some drop others, whose names have dots or dashes.
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_dangerous(name: &str) -> bool {
    let known = ["GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH"];
    known.contains(&name) || name.starts_with("LD_") || name.starts_with("MALLOC_")
}

fn is_of_language(name: &str) -> bool {
    ["LANG", "LANGUAGE"].contains(&name) || name.starts_with("LC_")
}

fn has_shell(root: &Root) -> bool {
    match root {
        Root::Host => true,
        // It may be a link that is right only within the image.
        Root::Folder(folder) => folder.join(SHELL.trim_start_matches('/')).symlink_metadata().is_ok(),
    }
}

/// Whether a shell can set variables without loss of others.
fn can_be_hidden(root: &Root, environment: &BTreeMap<String, String>) -> bool {
    has_shell(root) && environment.keys().all(|name| is_name(name))
}

/// Returns a variable that cannot be set: a shell of the image would have to do it, and there is none, or it would drop others.
pub(super) fn impossible<'a>(root: &Root, environment: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let mut names = environment.keys().map(String::as_str);
    names.find(|name| is_dangerous(name) && is_obeyed(name)).filter(|_| !can_be_hidden(root, environment))
}

/// Returns a command of a container, and the variables, as the programs of the machine get them.
pub(super) fn hidden(plan: &Plan, command: &[String]) -> (Vec<String>, BTreeMap<String, String>) {
    let can = can_be_hidden(&plan.root, &plan.environment);
    let obeyed = |name: &String| can && is_obeyed(name);
    let (covered, mut variables): (BTreeMap<_, _>, BTreeMap<_, _>) =
        plan.environment.clone().into_iter().partition(|(name, _)| obeyed(name));
    if covered.is_empty() {
        return (command.to_vec(), variables);
    }
    let mut script = String::new();
    for (name, value) in covered {
        script += &format!("export {name}=\"${COVER}{name}\"; unset {COVER}{name}; ");
        variables.insert(format!("{COVER}{name}"), value);
    }
    for own in OF_SHELLS.into_iter().filter(|own| !variables.contains_key(*own)) {
        script += &format!("unset {own}; ");
    }
    script += "exec \"$@\"";
    let shell = [SHELL, "-c", &script, "sh"].map(str::to_owned);
    (shell.into_iter().chain(command.iter().cloned()).collect(), variables)
}
