//! What containers say, in files of the form that container runtimes write: time, stream, F or P, text. Output and errors come by
//! one pipe, so that their lines stay in the order in which they were written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead};

/// The longest piece of a line that is written at once.
const PIECE: usize = 16 * 1024;
/// How long a file of a log gets before the next one begins: the kubelet's `containerLogMaxSize`.
const FULL: u64 = 10 * 1024 * 1024;
/// About how much of a log is read at once.
const CHUNK: usize = 64 * 1024;

/// A log that is being written. Where its file is full it becomes `FILE.1`, in the place of what was there, and a new one
/// begins. As with a kubelet only the new one can be asked for.
pub(super) struct Writer(Mutex<Current>);

struct Current {
    path: PathBuf,
    file: File,
    size: u64,
    full: u64,
}

impl Writer {
    /// Begins a log.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        Self::with(path, FULL)
    }

    fn with(path: &Path, full: u64) -> std::io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self(Mutex::new(Current { path: path.to_owned(), file, size: 0, full })))
    }

    fn write(&self, whole: bool, text: &[u8]) {
        let tag = if whole { 'F' } else { 'P' };
        let mut line = format!("{:.9} stdout {tag} ", Timestamp::now()).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        let mut current = self.0.lock();
        if let Err(error) = current.write(&line, whole) {
            tracing::warn!(%error, "a line of a container's log is lost");
        }
    }
}

impl Current {
    fn write(&mut self, record: &[u8], whole: bool) -> std::io::Result<()> {
        self.file.write_all(record)?;
        self.size += record.len() as u64;
        if whole && self.size >= self.full {
            std::fs::rename(&self.path, rotated(&self.path))?;
            (self.file, self.size) = (File::create(&self.path)?, 0);
        }
        Ok(())
    }
}

fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
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

/// Reads a log whole.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(path: &Path, wanted: &Wanted) -> std::io::Result<Vec<u8>> {
    let mut reader = Reader::open(path, wanted, false)?;
    let mut all = Vec::new();
    while let Some(piece) = reader.piece() {
        all.extend(piece);
    }
    Ok(all)
}

/// A log that is read piece by piece, also while it is written.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// How much of the file is still read; what comes later, too, if nothing is said.
    rest: Option<u64>,
    /// How many bytes are still wanted.
    left: usize,
    wanted: Wanted,
    record: Vec<u8>,
    /// Whether the next record goes on with the line of the one before.
    continued: bool,
}

/// How soon a reader that follows looks again.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

impl Reader {
    /// Opens a log where what is wanted of it begins. One that does not follow ends where the log ends now. For the last lines it
    /// reads the file through.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn open(path: &Path, wanted: &Wanted, follows: bool) -> std::io::Result<Self> {
        let mut file = BufReader::with_capacity(CHUNK, File::open(path)?);
        let size = file.get_ref().metadata()?.len();
        let begin = match wanted.tail_lines {
            None => 0,
            Some(lines) => tail(&mut file, size, lines)?,
        };
        file.seek(SeekFrom::Start(begin))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            rest: (!follows).then(|| size.saturating_sub(begin)),
            left: wanted.limit_bytes.unwrap_or(usize::MAX),
            wanted: wanted.clone(),
            record: Vec::new(),
            continued: false,
        })
    }

    /// Returns a piece of what is there; nothing if all of it was returned.
    pub(super) fn piece(&mut self) -> Option<Vec<u8>> {
        let mut said = Vec::new();
        while said.len() < CHUNK.min(self.left) {
            let begun = self.record.len();
            if self.rest == Some(0)
                || !self.file.read_until(b'\n', &mut self.record).is_ok_and(|read| read > 0)
            {
                break;
            }
            let read = (self.record.len() - begun) as u64;
            self.rest = self.rest.map(|rest| rest.saturating_sub(read));
            // What has no end yet is still being written.
            if self.record.ends_with(b"\n") {
                let record = std::mem::take(&mut self.record);
                self.tell(&record, &mut said);
            }
        }
        said.truncate(self.left);
        self.left -= said.len();
        (!said.is_empty()).then_some(said)
    }

    /// Adds what a record says, if it is wanted.
    fn tell(&mut self, record: &[u8], said: &mut Vec<u8>) {
        let mut parts = record.strip_suffix(b"\n").unwrap_or(record).splitn(4, |byte| *byte == b' ');
        let (Some(time), Some(_), Some(tag), Some(text)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        let continued = std::mem::replace(&mut self.continued, tag == b"P");
        if let Some(since) = self.wanted.since {
            let at = std::str::from_utf8(time).ok().and_then(|time| time.parse::<Timestamp>().ok());
            if at.is_none_or(|at| at < since) {
                return;
            }
        }
        if self.wanted.timestamps && !continued {
            said.extend_from_slice(time);
            said.push(b' ');
        }
        said.extend_from_slice(text);
        if tag != b"P" {
            said.push(b'\n');
        }
    }

    /// Returns what is said next, as soon as something is; nothing once the writer is gone, or no more is wanted.
    pub(super) async fn next(&mut self, writes: impl Fn() -> bool) -> Option<Vec<u8>> {
        while self.left > 0 {
            // Asked before the file is read: what was written until then is read.
            let (last, full) = (!writes(), self.is_full());
            if let Some(said) = self.piece() {
                return Some(said);
            }
            if full {
                self.file = BufReader::with_capacity(CHUNK, File::open(self.following()).ok()?);
            } else if last {
                return None;
            } else {
                tokio::time::sleep(AGAIN).await;
            }
        }
        None
    }

    /// Whether nothing is written to this file any more, because another one has begun.
    fn is_full(&self) -> bool {
        !self.is(&self.path)
    }

    /// Whether this is the file that is read.
    fn is(&self, path: &Path) -> bool {
        let (this, there) = (self.file.get_ref().metadata(), std::fs::metadata(path));
        this.ok().zip(there.ok()).is_some_and(|(this, there)| this.ino() == there.ino())
    }

    /// The file after a full one: the newest, unless the one before it came later than the one that is read.
    fn following(&self) -> PathBuf {
        let before = rotated(&self.path);
        if self.is(&before) || !before.exists() { self.path.clone() } else { before }
    }
}

/// Returns where the last lines of a file begin.
fn tail(file: &mut BufReader<File>, size: u64, lines: usize) -> std::io::Result<u64> {
    let mut begins = VecDeque::new();
    let (mut at, mut continued, mut record) = (0, false, Vec::new());
    while at < size && file.by_ref().take(size - at).read_until(b'\n', &mut record)? > 0 {
        if !continued {
            begins.push_back(at);
        }
        if begins.len() > lines {
            begins.pop_front();
        }
        continued = record.splitn(4, |byte| *byte == b' ').nth(2) == Some(b"P");
        at += record.len() as u64;
        record.clear();
    }
    Ok(begins.front().copied().unwrap_or(size))
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
        let of = |wanted: Wanted| String::from_utf8(read(&path, &wanted).expect("a log")).expect("text");
        assert_eq!(of(Wanted::default()), format!("{said}\n"));
        assert_eq!(of(Wanted { tail_lines: Some(2), ..Wanted::default() }), "\nlast\n");
        assert_eq!(of(Wanted { tail_lines: Some(0), ..Wanted::default() }), "");
        assert_eq!(of(Wanted { limit_bytes: Some(2), ..Wanted::default() }), "on");
        let timed = of(Wanted { tail_lines: Some(1), timestamps: true, ..Wanted::default() });
        assert!(timed.ends_with("Z last\n"), "{timed}");
        std::fs::remove_file(path).expect("it is there");
    }

    #[tokio::test]
    async fn a_log_is_read_in_pieces() {
        let path = log("pieces");
        let writer = Writer::create(&path).expect("a file");
        let said = "0123456789abcde\n".repeat(4 * CHUNK / 16);
        copy(said.as_bytes(), &writer).await;
        let mut reader = Reader::open(&path, &Wanted::default(), false).expect("a log");
        // What comes later is not of it.
        copy(&b"later\n"[..], &writer).await;
        let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| reader.piece()).collect();
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() < 2 * CHUNK), "{}", pieces.len());
        assert_eq!(pieces.concat(), said.as_bytes());
        std::fs::remove_file(path).expect("it is there");
    }

    #[tokio::test]
    async fn a_full_file_is_put_aside_and_who_follows_loses_nothing() {
        let path = log("full");
        let writer = Writer::with(&path, 1000).expect("a file");
        let mut reader = Reader::open(&path, &Wanted::default(), true).expect("a log");
        let (mut said, mut read_all) = (String::new(), Vec::new());
        for number in 0..200 {
            let line = format!("{number} {}\n", "x".repeat(number));
            copy(line.as_bytes(), &writer).await;
            said += &line;
            if number % 3 == 0 {
                read_all.extend(reader.next(|| true).await.expect("more"));
            }
        }
        while let Some(more) = reader.next(|| false).await {
            read_all.extend(more);
        }
        assert_eq!(String::from_utf8(read_all).expect("text"), said);
        let now = read(&path, &Wanted::default()).expect("a log");
        assert!(now.len() < 1000 && said.as_bytes().ends_with(&now), "only the newest file is shown");
        let sizes = [&path, &rotated(&path)].map(|path| std::fs::metadata(path).expect("it is there").len());
        assert!(sizes.iter().all(|size| *size < 1400), "{sizes:?}");
        for path in [rotated(&path), path] {
            std::fs::remove_file(path).expect("it is there");
        }
    }

    #[tokio::test]
    async fn who_follows_gets_no_more_bytes_than_wanted() {
        let path = log("limit");
        let writer = Writer::create(&path).expect("a file");
        copy(&b"one\n"[..], &writer).await;
        let wanted = Wanted { limit_bytes: Some(6), ..Wanted::default() };
        let mut reader = Reader::open(&path, &wanted, true).expect("a log");
        assert_eq!(reader.next(|| true).await.as_deref(), Some(&b"one\n"[..]));
        copy(&b"two\n"[..], &writer).await;
        assert_eq!(reader.next(|| true).await.as_deref(), Some(&b"tw"[..]));
        assert_eq!(reader.next(|| true).await, None);
        std::fs::remove_file(path).expect("it is there");
    }
}
