//! The file of a recording.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::line::{Line, What};

/// Where lines are written, in the order in which they come. Clones write to the same file.
#[derive(Clone)]
pub(super) struct Log {
    file: Arc<Mutex<(BufWriter<File>, Option<io::Error>)>>,
}

impl Log {
    /// Begins a file that only its owner can read: Secrets are recorded too.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file: Arc::new(Mutex::new((BufWriter::new(file), None))) })
    }

    /// Writes a line. An error is told by [`Log::flush`].
    pub(super) fn write(&self, what: What) {
        let mut file = self.file.lock();
        let line = Line { at: Timestamp::now().as_microsecond(), what };
        let written = serde_json::to_vec(&line).map_err(io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            file.0.write_all(&text)
        });
        if let Err(error) = written {
            file.1.get_or_insert(error);
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// This or an earlier line could not be written.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut file = self.file.lock();
        file.0.flush()?;
        file.1.take().map_or(Ok(()), Err)
    }
}
