//! What containers say, in files of the form that container runtimes write: time, stream, F or P, text. Output and errors come by
//! one pipe, so that their lines stay in the order in which they were written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead};

/// The longest piece of a line that is written at once.
const PIECE: usize = 16 * 1024;

/// A log that is being written.
pub(super) struct Writer(Mutex<File>);

impl Writer {
    /// Begins a log.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self(Mutex::new(File::create(path)?)))
    }

    fn write(&self, whole: bool, text: &[u8]) {
        let tag = if whole { 'F' } else { 'P' };
        let mut line = format!("{:.9} stdout {tag} ", Timestamp::now()).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        if let Err(error) = self.0.lock().write_all(&line) {
            tracing::warn!(%error, "a line of a container's log is lost");
        }
    }
}

/// What `unshare` of util-linux 2.38 says, before it exits with 1, where its child was ended by SIGKILL.
const KILLED: &[u8] = b"unshare: sigprocmask unblock failed: Invalid argument";

/// Copies what comes out of a pipe into a log, until its end. Returns whether `unshare` said that its child was killed.
pub(super) async fn copy(pipe: impl AsyncRead + Unpin, log: &Writer) -> bool {
    let mut killed = false;
    let mut pipe = tokio::io::BufReader::with_capacity(PIECE, pipe);
    let mut line = Vec::new();
    while let Ok(Some(whole)) = piece(&mut pipe, &mut line).await {
        killed = line == KILLED;
        if !killed {
            log.write(whole, &line);
        }
        line.clear();
    }
    killed
}

/// Reads a line, or as much of it as is written at once; nothing at the end. Says whether the line is whole.
async fn piece(pipe: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    loop {
        let data = pipe.fill_buf().await?;
        if data.is_empty() {
            return Ok((!line.is_empty()).then_some(true));
        }
        let room = PIECE.saturating_sub(line.len());
        let end = data.iter().take(room).position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(data.len().min(room));
        line.extend(data.iter().take(taken));
        let read = taken + usize::from(end.is_some());
        pipe.consume(read);
        if end.is_some() || line.len() >= PIECE {
            return Ok(Some(end.is_some()));
        }
    }
}

/// What of a log is wanted: the options of `pods/log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The last lines, this many.
    pub tail_lines: Option<usize>,
    /// Not more bytes than this.
    pub limit_bytes: Option<usize>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Each line with its time before it.
    pub timestamps: bool,
}

/// Reads a log; returns how long its file was, too.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(path: &Path, wanted: &Wanted) -> std::io::Result<(Vec<u8>, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
    let mut continued = false;
    for record in BufReader::new(file.take(size)).split(b'\n') {
        let record = record?;
        let mut parts = record.splitn(4, |byte| *byte == b' ');
        let (Some(time), Some(_), Some(tag), Some(text)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let at = std::str::from_utf8(time).ok().and_then(|time| time.parse::<Timestamp>().ok());
        if wanted.since.is_some() && at < wanted.since {
            continue;
        }
        let mut line = if continued { lines.pop_back().unwrap_or_default() } else { Vec::new() };
        if wanted.timestamps && !continued {
            line.extend_from_slice(time);
            line.push(b' ');
        }
        line.extend_from_slice(text);
        continued = tag == b"P";
        if !continued {
            line.push(b'\n');
        }
        lines.push_back(line);
        if wanted.tail_lines.is_some_and(|most| lines.len() > most) {
            lines.pop_front();
        }
    }
    let mut all: Vec<u8> = lines.into_iter().flatten().collect();
    all.truncate(wanted.limit_bytes.unwrap_or(usize::MAX));
    Ok((all, size))
}

/// A log that is read while it is written.
pub(super) struct Follower {
    file: BufReader<File>,
    record: Vec<u8>,
}

/// How soon a follower looks again.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

impl Follower {
    /// Reads a log on from this place.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn new(path: &Path, from: u64) -> std::io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        file.seek(SeekFrom::Start(from))?;
        Ok(Self { file, record: Vec::new() })
    }

    /// Returns what is said next, as soon as something is; nothing once the writer is gone.
    pub(super) async fn next(&mut self, writes: impl Fn() -> bool) -> Option<Vec<u8>> {
        loop {
            // Asked before the file is read: what was written until then is read.
            let last = !writes();
            let mut said = Vec::new();
            while self.file.read_until(b'\n', &mut self.record).is_ok_and(|read| read > 0) {
                if self.record.ends_with(b"\n") {
                    said.extend(text_of(&std::mem::take(&mut self.record)));
                }
            }
            if !said.is_empty() || last {
                return (!said.is_empty()).then_some(said);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Returns the text of a whole record, with the end of its line if it has one.
fn text_of(record: &[u8]) -> Vec<u8> {
    let mut parts = record.splitn(4, |byte| *byte == b' ').skip(2);
    let (tag, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let text = if tag == b"P" { text.strip_suffix(b"\n").unwrap_or(text) } else { text };
    text.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("devcluster-log-{}-{name}", std::process::id()))
    }

    #[tokio::test]
    async fn a_log_is_read_as_it_was_said() {
        let path = log("said");
        let writer = Writer::create(&path).expect("a file");
        let long = "x".repeat(PIECE + 10);
        let said = format!("one\n{long}\n\nlast");
        copy(said.as_bytes(), &writer).await;
        let of = |wanted: Wanted| String::from_utf8(read(&path, &wanted).expect("a log").0).expect("text");
        assert_eq!(of(Wanted::default()), format!("{said}\n"));
        assert_eq!(of(Wanted { tail_lines: Some(2), ..Wanted::default() }), "\nlast\n");
        assert_eq!(of(Wanted { tail_lines: Some(0), ..Wanted::default() }), "");
        assert_eq!(of(Wanted { limit_bytes: Some(2), ..Wanted::default() }), "on");
        let timed = of(Wanted { tail_lines: Some(1), timestamps: true, ..Wanted::default() });
        assert!(timed.ends_with("Z last\n"), "{timed}");
        std::fs::remove_file(path).expect("it is there");
    }
}
