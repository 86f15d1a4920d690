//! Output of the commands.

use std::io::Write as _;

/// Prints an error and its causes on standard error.
pub fn complain(error: &anyhow::Error) {
    let error: &(dyn std::error::Error + 'static) = error.as_ref();
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "backstay: {}", crate::cluster::error::chain(error));
}

/// Prints what a command answers. A reader that has gone away (`backstay crds | head`) is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
