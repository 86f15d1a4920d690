//! Paths with slashes. The `os` functions are the same, because containers are Linux.

use super::arguments::bytes;
use super::function::{Function, Type, fixed};
use crate::template::go::value::Value;

use Type::Str;

pub(super) const TABLE: &[Function] = &[
    fixed("base", &[Str], |args, _| Ok(Value::str(base(bytes(&args[0]))))),
    fixed("osBase", &[Str], |args, _| Ok(Value::str(base(bytes(&args[0]))))),
    fixed("dir", &[Str], |args, _| Ok(Value::str(dir(bytes(&args[0]))))),
    fixed("osDir", &[Str], |args, _| Ok(Value::str(dir(bytes(&args[0]))))),
    fixed("clean", &[Str], |args, _| Ok(Value::str(clean(bytes(&args[0]))))),
    fixed("osClean", &[Str], |args, _| Ok(Value::str(clean(bytes(&args[0]))))),
    fixed("ext", &[Str], |args, _| Ok(Value::str(ext(bytes(&args[0]))))),
    fixed("osExt", &[Str], |args, _| Ok(Value::str(ext(bytes(&args[0]))))),
    fixed("isAbs", &[Str], |args, _| Ok(Value::Bool(bytes(&args[0]).starts_with(b"/")))),
    fixed("osIsAbs", &[Str], |args, _| Ok(Value::Bool(bytes(&args[0]).starts_with(b"/")))),
];

fn after_last_slash(path: &[u8]) -> usize {
    path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1)
}

fn base(path: &[u8]) -> &[u8] {
    let length = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    match &path[..length] {
        [] if path.is_empty() => b".",
        [] => b"/",
        trimmed => &trimmed[after_last_slash(trimmed)..],
    }
}

fn dir(path: &[u8]) -> Vec<u8> {
    clean(&path[..after_last_slash(path)])
}

fn ext(path: &[u8]) -> &[u8] {
    let name = &path[after_last_slash(path)..];
    name.iter().rposition(|byte| *byte == b'.').map_or(&[], |at| &name[at..])
}

/// Removes empty elements, `.`, and each `..` together with the element before it.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            other => parts.push(other),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
