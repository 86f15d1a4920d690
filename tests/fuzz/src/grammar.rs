//! Mostly well-formed templates, by the grammars of the two dialects.

use crate::choose::Choose;
use crate::corpus::CORPUS;

/// Deepest nesting of blocks and parentheses; other inputs nest deeper.
const DEPTH: usize = 4;

/// Returns a template of the Go dialect.
pub(crate) fn go(choose: &mut Choose<'_>) -> String {
    let mut template = String::new();
    go_list(choose, DEPTH, &mut template);
    template
}

fn go_list(choose: &mut Choose<'_>, depth: usize, out: &mut String) {
    for _ in 0..=choose.up_to(3) {
        let pipeline = |choose: &mut Choose<'_>| go_pipeline(choose, depth.saturating_sub(1));
        match choose.up_to(if depth == 0 { 3 } else { 11 }) {
            0 => out.push_str(&format!("{{{{ {} }}}}", pipeline(choose))),
            1 => out.push_str(&format!("{{{{- {} -}}}} ", pipeline(choose))),
            2 => out.push_str(choose.word(&["x", " \n", "é", "{{/* c */}}", "$a {", "}} "])),
            3 => out.push_str(&format!("{{{{ $v {}= {} }}}}", choose.word(&[":", ""]), pipeline(choose))),
            4 | 5 => block(choose, depth, out, "if", &["{{ else }}", "{{ else if .Mode }}"]),
            6 | 7 => block(
                choose,
                depth,
                out,
                "range",
                &["{{ else }}", "{{ break }}", "{{ if . }}{{ continue }}{{ end }}"],
            ),
            8 => block(choose, depth, out, "range $i, $v :=", &["{{ $i }}{{ $v }}", "{{ $v = 1 }}"]),
            9 => block(choose, depth, out, "with", &["{{ else }}", "{{ else with 1 }}"]),
            10 => {
                out.push_str("{{ define \"t\" }}");
                go_list(choose, depth - 1, out);
                out.push_str("{{ end }}");
            }
            _ => out.push_str(&format!("{{{{ template \"t\" {} }}}}", go_operand(choose, 0))),
        }
        if choose.is_over() {
            return;
        }
    }
}

fn block(choose: &mut Choose<'_>, depth: usize, out: &mut String, keyword: &str, inner: &[&'static str]) {
    out.push_str(&format!("{{{{ {keyword} {} }}}}", go_pipeline(choose, depth - 1)));
    go_list(choose, depth - 1, out);
    if choose.once_in(2) {
        out.push_str(choose.word(inner));
        go_list(choose, depth - 1, out);
    }
    out.push_str("{{ end }}");
}

fn go_pipeline(choose: &mut Choose<'_>, depth: usize) -> String {
    let commands: Vec<String> = (0..=choose.up_to(2)).map(|_| go_command(choose, depth)).collect();
    commands.join(" | ")
}

fn go_command(choose: &mut Choose<'_>, depth: usize) -> String {
    if !choose.once_in(3) {
        return go_operand(choose, depth);
    }
    let function = choose.one(&CORPUS.functions);
    let arguments: Vec<String> = (0..choose.up_to(4)).map(|_| go_operand(choose, depth)).collect();
    format!("{function} {}", arguments.join(" "))
}

fn go_operand(choose: &mut Choose<'_>, depth: usize) -> String {
    const FIELDS: [&str; 16] = [
        ".",
        "$",
        "$v",
        ".Application",
        ".Application.spec",
        ".Application.spec.tags",
        ".Application.spec.i",
        ".Application.spec.f",
        ".Application.spec.nul",
        ".Application.spec.m",
        ".Application.spec.mix",
        ".Parameters",
        ".Parameters.days",
        ".Release.Name",
        ".Backup",
        ".nope.x",
    ];
    const WORDS: [&str; 12] = [
        "true",
        "false",
        "nil",
        "'a'",
        "'\\n'",
        "0x1F",
        "1e3",
        "1_000",
        "-0",
        "now",
        "(list 1 2 3)",
        "(dict \"a\" 1)",
    ];
    match choose.up_to(if depth == 0 { 7 } else { 8 }) {
        0..=2 => choose.word(&FIELDS).to_owned(),
        3 => choose.integer().to_string(),
        4 => format!("{:?}", choose.float()),
        5 => choose.word(&WORDS).to_owned(),
        6 | 7 => quoted(&choose.text()),
        _ => format!("({})", go_pipeline(choose, depth - 1)),
    }
}

/// Returns a text in double quotes, as both dialects read them.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns a template of minijinja.
pub(crate) fn minijinja(choose: &mut Choose<'_>) -> String {
    let mut template = String::new();
    jinja_list(choose, DEPTH, &mut template);
    template
}

fn jinja_list(choose: &mut Choose<'_>, depth: usize, out: &mut String) {
    for _ in 0..=choose.up_to(3) {
        match choose.up_to(if depth == 0 { 1 } else { 8 }) {
            0 => out.push_str(&format!("{{{{ {} }}}}", jinja_expression(choose, depth.saturating_sub(1)))),
            1 => out.push_str(choose.word(&["x", " \n", "é", "{{/* c */}}", "{# x", "%}"])),
            2 => out.push_str(&format!("{{% set v = {} %}}", jinja_expression(choose, depth - 1))),
            3 => jinja_block(choose, depth, out, "if", "{% else %}", "endif"),
            4 | 5 => jinja_block(choose, depth, out, "for v in", "{% else %}", "endfor"),
            6 => jinja_block(choose, depth, out, "for i, v in", "{{ loop.index }}", "endfor"),
            7 => jinja_block(choose, depth, out, "with v =", "{{ v }}", "endwith"),
            _ => {
                out.push_str(&format!("{{% filter {} %}}", jinja_filter(choose, 0)));
                jinja_list(choose, depth - 1, out);
                out.push_str("{% endfilter %}");
            }
        }
        if choose.is_over() {
            return;
        }
    }
}

fn jinja_block(choose: &mut Choose<'_>, depth: usize, out: &mut String, head: &str, inner: &str, end: &str) {
    out.push_str(&format!("{{% {head} {} %}}", jinja_expression(choose, depth - 1)));
    jinja_list(choose, depth - 1, out);
    if choose.once_in(2) {
        out.push_str(inner);
        jinja_list(choose, depth - 1, out);
    }
    out.push_str(&format!("{{% {end} %}}"));
}

fn jinja_expression(choose: &mut Choose<'_>, depth: usize) -> String {
    const FIELDS: [&str; 16] = [
        "v",
        "Mode",
        "Application",
        "Application.spec",
        "Application.spec.tags",
        "Application.spec.i",
        "Application.spec.f",
        "Application.spec.nul",
        "Application.spec.users",
        "Parameters",
        "Parameters.days",
        "Parameters['bucket']",
        "Release.Name",
        "Backup",
        "nope.x",
        "loop",
    ];
    const WORDS: [&str; 8] =
        ["true", "none", "[1, 2.5, 'a']", "{'a': [1]}", "[]", "range(5)", "range(65536)", "()"];
    const INFIX: [&str; 18] = [
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "**",
        "~",
        "==",
        "!=",
        "<",
        ">=",
        "and",
        "or",
        "in",
        "not in",
        "if v else",
        "is",
    ];
    const TESTS: [&str; 6] = ["defined", "undefined", "none", "string", "number", "sequence"];
    match choose.up_to(if depth == 0 { 6 } else { 12 }) {
        0 | 1 => choose.word(&FIELDS).to_owned(),
        2 => choose.integer().to_string(),
        3 => format!("{:?}", choose.float()),
        4 => choose.word(&WORDS).to_owned(),
        5 | 6 => quoted(&choose.text()),
        7 => format!("({})", jinja_expression(choose, depth - 1)),
        8 => {
            let operator = choose.word(&INFIX);
            let left = jinja_expression(choose, depth - 1);
            let right = if operator == "is" {
                choose.word(&TESTS).to_owned()
            } else {
                jinja_expression(choose, depth - 1)
            };
            format!("{left} {operator} {right}")
        }
        9 => format!("{}[{}]", jinja_expression(choose, depth - 1), jinja_expression(choose, depth - 1)),
        10 => format!("{}[{}:{}]", jinja_expression(choose, depth - 1), choose.integer(), choose.integer()),
        _ => format!("{} | {}", jinja_expression(choose, depth - 1), jinja_filter(choose, depth - 1)),
    }
}

fn jinja_filter(choose: &mut Choose<'_>, depth: usize) -> String {
    const FILTERS: [&str; 30] = [
        "default",
        "d",
        "upper",
        "lower",
        "capitalize",
        "trim",
        "replace",
        "split",
        "lines",
        "join",
        "indent",
        "length",
        "count",
        "first",
        "last",
        "reverse",
        "sort",
        "unique",
        "min",
        "max",
        "list",
        "items",
        "dictsort",
        "int",
        "float",
        "round",
        "abs",
        "string",
        "bool",
        "tojson",
    ];
    let filter = choose.word(&FILTERS);
    let arguments: Vec<String> = (0..choose.up_to(2)).map(|_| jinja_expression(choose, depth)).collect();
    if arguments.is_empty() { filter.to_owned() } else { format!("{filter}({})", arguments.join(", ")) }
}
