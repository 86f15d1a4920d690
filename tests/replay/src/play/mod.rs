//! Playing: a recording is gone through by its resource versions. What others wrote enters the model as it was; each request is asked
//! at the revision at which it was answered, its answer compared, and what it changes taken back, since the recording has that too.

mod compare;
mod declared;
mod engine;
mod exchange;
mod names;
mod recording;
mod report;
mod target;
mod watches;

use std::path::PathBuf;

use anyhow::Context as _;

pub use report::Report;

/// Differences that are meant, and why.
pub const DECLARED: &str = include_str!("../../declared.txt");

/// The group and the plural of what a request is about; empty if it is no resource.
pub(crate) fn kind_of(method: &str, target: &str) -> (String, String) {
    let target = target::Target::of(method, target);
    (target.group, target.plural)
}

/// Plays recordings, and says what came of it. With `part`, declared differences need not occur.
///
/// # Errors
/// A recording or the declared differences cannot be read.
pub fn play(files: &[PathBuf], declared: &str, part: bool) -> anyhow::Result<Report> {
    let mut report = Report::new(declared::Declared::read(declared)?);
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let recording = recording::Recording::read(&text).with_context(|| file.display().to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async { engine::Engine::new(&recording, &mut report).run() });
    }
    report.finish(part);
    Ok(report)
}
