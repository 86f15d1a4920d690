//! Hostile values, as JSON text: what a type allows and nobody means.

use std::fmt::Write as _;

/// A value: what is hostile about it, and its JSON.
pub(super) type Value = (String, String);

/// About as much as the API server stores of one object: 1.5 MB, with its metadata.
const MOST_BYTES: usize = 1_300_000;

fn named(values: Vec<(&str, String)>) -> Vec<Value> {
    values.into_iter().map(|(about, json)| (about.to_owned(), json)).collect()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns texts, for every field that is a text.
pub(super) fn texts() -> Vec<Value> {
    let mut values = vec![
        ("a text of 1 MB", quoted(&"n".repeat(1_000_000))),
        ("a text of 64 KiB", quoted(&"x".repeat(65_536))),
        ("100,000 line breaks", quoted(&"\n".repeat(100_000))),
        ("254 characters", quoted(&"n".repeat(254))),
    ];
    for (about, text) in [
        ("nothing", ""),
        ("a blank", " "),
        ("a percent sign", "%"),
        ("an encoded slash", "a%2f..%2fsecrets"),
        ("a line break and an escape sequence", "a\n2026-01-01T00:00:00Z ERROR \u{1b}[31mforged\u{1b}[0m"),
        ("a carriage return", "a\r\nX-Header: b"),
        ("a path", "../../../api/v1/secrets"),
        ("a query", "a?watch=true#b"),
        ("two dots", ".."),
        ("emoji and ideographs", "日本語🎉"),
        ("text that runs to the left", "\u{202e}gpj.exe"),
        ("a template", "{{ .Release.Name }}<no value>$(x)${x}"),
        ("capitals", "UPPER_Case"),
        ("quotes", "\"'`\\"),
    ] {
        values.push((about, quoted(text)));
    }
    values.push(("the character 0", r#""a\u0000b""#.to_owned()));
    values.push(("half a surrogate", r#""\ud800""#.to_owned()));
    named(values)
}

/// Returns numbers, for every field that is an integer.
pub(super) fn integers() -> Vec<Value> {
    let texts =
        ["0", "-1", "9223372036854775807", "-9223372036854775808", "1e300", "1.5", "92233720368547758080"];
    texts.into_iter().map(|text| (text.to_owned(), text.to_owned())).collect()
}

/// Returns cron texts, for schedules.
pub(super) fn crons() -> Vec<Value> {
    let mut values: Vec<Value> = [
        "* * * * *",
        "@every 1ns",
        "@every 60s",
        "@every 9999999999h",
        "@reboot",
        "0 0 30 2 *",
        "0 0 29 2 1-7",
        "*/0 * * * *",
        "0-9999999999 * * * *",
        "CRON_TZ=../../etc/passwd 0 0 * * *",
        "CRON_TZ= 0 0 * * *",
        "TZ=Mars/Olympus 0 0 * * *",
        "0 0 * * * * *",
        "? ? ? ? ?",
    ]
    .map(|text| (format!("{text:?}"), quoted(text)))
    .into();
    values.push((
        "a list of 50,000 minutes".to_owned(),
        quoted(&format!("{} * * * *", vec!["1"; 50_000].join(","))),
    ));
    values.push(("900,000 blanks".to_owned(), quoted(&format!("0{}0 * * *", " ".repeat(900_000)))));
    values
}

/// Returns `levels` of one value in another.
fn deep(open: &str, middle: &str, close: &str, levels: usize) -> String {
    format!("{}{middle}{}", open.repeat(levels), close.repeat(levels))
}

/// Repeats `item` up to `bytes` in a list.
fn list(item: &str, bytes: usize) -> String {
    format!("[{}]", vec![item; bytes / (item.len() + 1)].join(","))
}

/// Returns a map of `number` keys.
fn wide(number: usize, value: &str) -> String {
    let mut json = String::from("{");
    for i in 0..number {
        // Writing to a String cannot fail.
        let _ = write!(json, "{}\"k{i}\":{value}", if i == 0 { "" } else { "," });
    }
    json.push('}');
    json
}

/// Returns maps, for every field that has any content.
pub(super) fn maps() -> Vec<Value> {
    let mut values = Vec::new();
    // The API server itself takes seconds for some thousand levels.
    for levels in [60, 120, 130, 600, 2_000] {
        values.push((format!("{levels} maps in one another"), deep("{\"a\":", "0", "}", levels)));
        values.push((
            format!("{levels} lists in one another"),
            format!("{{\"a\":{}}}", deep("[", "", "]", levels)),
        ));
    }
    for (about, item) in [
        ("maps of one empty key", "{\"\":0}"),
        ("zeros", "0"),
        ("empty lists", "[]"),
        ("empty maps", "{}"),
        ("nulls", "null"),
        ("texts of one character", "\"x\""),
    ] {
        values.push((format!("a list of {about}, 1.3 MB"), format!("{{\"a\":{}}}", list(item, MOST_BYTES))));
    }
    for (about, json) in [
        ("20,000 keys", wide(20_000, "0")),
        ("20,000 keys in a list", format!("{{\"a\":[{}]}}", wide(20_000, "0"))),
        ("300 maps of 300 keys", wide(300, &wide(300, "{}"))),
        ("a text of 1.3 MB", format!("{{\"a\":{}}}", quoted(&"t".repeat(MOST_BYTES)))),
        ("a key of 300 KB", format!("{{{}:0}}", quoted(&"k".repeat(300_000)))),
        ("a number of 1,000 digits", format!("{{\"a\":{}}}", "9".repeat(1_000))),
        ("a number of 300 digits", format!("{{\"a\":{}}}", "9".repeat(300))),
        (
            "numbers at their ends",
            r#"{"a":1e308,"b":-1e-400,"c":-0.0,"d":18446744073709551616,"e":0.1e-5}"#.to_owned(),
        ),
        (
            "odd keys",
            r#"{"":1," ":2,"a\nb":3,"\u0000":4,"__proto__":5,"$ref":6,"日本":7,"a/b~c":8}"#.to_owned(),
        ),
        ("one key twice", r#"{"a":1,"a":{"b":2}}"#.to_owned()),
        ("nulls everywhere", r#"{"a":null,"b":[null],"c":{"d":null}}"#.to_owned()),
        (
            "options of another type",
            r#"{"recoveryTime":{"a":[]},"limit":"9999-12-31T00:00:00Z","leaveSystemBucket":"yes"}"#
                .to_owned(),
        ),
        (
            "an object in it",
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x","uid":7}}"#.to_owned(),
        ),
        ("nothing in it", "{}".to_owned()),
    ] {
        values.push((about.to_owned(), json));
    }
    values
}

/// The most expensive maps: as many of each as make a tenant's backlog.
pub(super) fn heavy() -> Vec<Value> {
    let list = format!("{{\"a\":{}}}", list("{\"\":0}", MOST_BYTES));
    (0..HEAVY)
        .map(|i| (format!("a list of maps of one empty key, 1.3 MB, number {i}"), list.clone()))
        .collect()
}

const HEAVY: usize = 16;
