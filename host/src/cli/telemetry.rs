//! Logs on standard error: structured, with a fixed message each.
//!
//! Much of what is logged was written by others: names, causes, logs of failed pods, answers of the API server. So an event is
//! one line of at most [`LINE`] bytes without control characters, whoever logs it.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Longest line of an event, in bytes.
const LINE: usize = 4 << 10;
/// Bytes of a line that are left for the note of what was left out.
const NOTE: usize = 64;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `filter` is in the syntax of `RUST_LOG`, such as `info,backstay=debug`.
pub(crate) fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let colours = format == LogFormat::Text && io::stderr().is_terminal();
    let lines = Lines { format, colours, make: io::stderr };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    match format {
        LogFormat::Text => builder.with_ansi(colours).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Makes writers that write each event as one line.
#[derive(Clone, Copy)]
struct Lines<M> {
    format: LogFormat,
    /// The formatter's own colours pass. It escapes those in values.
    colours: bool,
    make: M,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Lines<M> {
    type Writer = Lines<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Lines { format: self.format, colours: self.colours, make: self.make.make_writer() }
    }
}

/// The formatter writes an event with one call.
impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = match self.format {
            LogFormat::Text => text_line(text.trim_end_matches('\n'), self.colours),
            LogFormat::Json => json_line(text.trim_end_matches('\n')),
        };
        line.push('\n');
        self.make.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.make.flush()
    }
}

/// Returns whether a character could end a line, move a cursor, or show a line in another order than it is written.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns the event as one line.
fn text_line(text: &str, colours: bool) -> String {
    let mut line = String::with_capacity(text.len().min(LINE));
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let colour = if colours { colour(rest) } else { 0 };
        let taken = if colour > 0 { colour } else { c.len_utf8() };
        let (first, after) = rest.split_at(taken);
        let before = line.len();
        if colour > 0 || !is_harmful(c) {
            line.push_str(first);
        } else {
            line.extend(c.escape_default());
        }
        if line.len() > LINE - NOTE && rest.len() > NOTE {
            line.truncate(before);
            let reset = if colours { "\u{1b}[0m" } else { "" };
            line.push_str(&format!("{reset}… ({} bytes left out)", rest.len()));
            break;
        }
        rest = after;
    }
    line
}

/// Returns the length of the colour that a text begins with; zero if it begins with none.
fn colour(text: &str) -> usize {
    let Some(code) = text.strip_prefix("\u{1b}[") else { return 0 };
    let digits = code.bytes().take_while(|b| b.is_ascii_digit() || *b == b';').count();
    let ends = code.as_bytes().get(digits) == Some(&b'm');
    if ends { 2 + digits + 1 } else { 0 }
}

/// Returns the event as one line, which is JSON again.
fn json_line(text: &str) -> String {
    let line = escaped(text);
    if line.len() <= LINE {
        return line;
    }
    let Ok(mut event) = serde_json::from_str::<Map<String, Value>>(text) else {
        return json!({"level": "WARN", "message": format!("an event of {} bytes was left out", text.len())})
            .to_string();
    };
    for longest in [1024, 256, 64, 16] {
        event.values_mut().for_each(|value| shorten(value, longest));
        let line = escaped(&Value::Object(event.clone()).to_string());
        if line.len() <= LINE {
            return line;
        }
    }
    let kept = |field: &str| event.get(field).cloned().unwrap_or_default();
    let message = format!("an event of {} bytes was left out", text.len());
    escaped(&json!({"timestamp": kept("timestamp"), "level": kept("level"), "message": message}).to_string())
}

/// Cuts the strings of a value. One that was cut says so.
fn shorten(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) if text.len() > longest + NOTE => {
            let kept = text.floor_char_boundary(longest);
            let left_out = text.len() - kept;
            text.truncate(kept);
            text.push_str(&format!("… ({left_out} bytes left out)"));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, longest)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shorten(field, longest)),
        _ => {}
    }
}

/// Escapes what JSON may hold as it is. Such a character is part of a string.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what an event that a tenant wrote looks like.
    fn logged(format: LogFormat, colours: bool, name: &str) -> String {
        let written = Written::default();
        let make = {
            let written = written.clone();
            move || written.clone()
        };
        let lines = Lines { format, colours, make };
        let builder = tracing_subscriber::fmt().with_writer(lines);
        let log = || {
            let span = tracing::info_span!("reconcile", object = name);
            let _entered = span.enter();
            tracing::info!(name, shown = %name, debugged = ?name, "run failed {name}");
        };
        match format {
            LogFormat::Text => tracing::subscriber::with_default(builder.with_ansi(colours).finish(), log),
            LogFormat::Json => {
                tracing::subscriber::with_default(builder.json().flatten_event(true).finish(), log);
            }
        }
        let written = written.0.lock().expect("no panic").clone();
        String::from_utf8(written).expect("UTF-8")
    }

    const HOSTILE: &str =
        "a\n2026-01-01T00:00:00Z  INFO run succeeded\r\x1b[2J\x1b]0;t\x07\u{9b}31m\u{2028}\u{202e}\u{85}z";

    #[test]
    fn t18_an_event_is_one_line_without_control_characters_whatever_a_tenant_wrote() {
        for (format, colours) in [(LogFormat::Text, false), (LogFormat::Text, true), (LogFormat::Json, false)]
        {
            let line = logged(format, colours, HOSTILE);
            let event = line.strip_suffix('\n').expect("a line");
            let bare = if colours { without_colours(event) } else { event.to_owned() };
            assert!(!bare.chars().any(is_harmful), "{format:?}: {bare:?}");
            if format == LogFormat::Json {
                let event: Value = serde_json::from_str(event).expect("JSON");
                assert_eq!(event["name"], json!(HOSTILE), "nothing is lost");
            }
        }
    }

    fn without_colours(mut text: &str) -> String {
        let mut bare = String::new();
        while let Some(c) = text.chars().next() {
            let colour = colour(text);
            if colour == 0 {
                bare.push(c);
            }
            text = &text[if colour > 0 { colour } else { c.len_utf8() }..];
        }
        bare
    }

    #[test]
    fn t18_an_event_has_at_most_four_kilobytes_and_says_what_was_left_out() {
        for name in ["x".repeat(1 << 20), "\n".repeat(1 << 16), "ä".repeat(5000), "\u{85}".repeat(3000)] {
            for (format, colours) in
                [(LogFormat::Text, false), (LogFormat::Text, true), (LogFormat::Json, false)]
            {
                let line = logged(format, colours, &name);
                assert!(line.len() <= LINE + 1, "{format:?}: {}", line.len());
                assert!(line.contains("left out"), "{format:?}: {line}");
                if format == LogFormat::Json {
                    let event: Value = serde_json::from_str(&line).expect("JSON");
                    assert_eq!(event["level"], json!("INFO"));
                }
            }
        }
    }

    #[test]
    fn an_ordinary_event_is_written_as_it_is() {
        let line = logged(LogFormat::Text, false, "nightly");
        assert!(
            line.contains("run failed") && line.contains("shown=nightly") && !line.contains("left out"),
            "{line}"
        );
        let many = json!(vec!["x".repeat(100); 1000]);
        let large = json!({"level": "INFO", "timestamp": "t", "fields": many}).to_string();
        let line: Value = serde_json::from_str(&json_line(&large)).expect("JSON");
        assert_eq!(line["level"], json!("INFO"));
        assert!(json_line("not JSON".repeat(1000).as_str()).contains("left out"));
    }
}
