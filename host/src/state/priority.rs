//! What is done is recorded before more is begun: while the ends of Jobs are being recorded, no new run is begun.
//!
//! An API server that is busy answers everybody late. Were runs begun all the same, whoever waits for a backup that is
//! complete already would wait for the beginnings of others.

use std::time::Duration;

use tokio::sync::watch;

/// How long the beginning of a run is put off at most, however many others end meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many runs are being recorded.
pub struct Precedence(watch::Sender<usize>);

/// Held while a run is looked at whose Job has something to tell.
pub struct Recording<'a>(&'a Precedence);

impl Default for Precedence {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Precedence {
    /// A run is being recorded until what is returned is dropped.
    pub fn recording(&self) -> Recording<'_> {
        self.0.send_modify(|runs| *runs += 1);
        Recording(self)
    }

    /// Waits until no run is being recorded, or for a few seconds.
    pub async fn quiet(&self) {
        let mut recording = self.0.subscribe();
        // The sender is this: it cannot be gone. And it is right to go on where the time is over.
        let _ = tokio::time::timeout(PATIENCE, recording.wait_for(|runs| *runs == 0)).await;
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|runs| *runs -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_beginning_waits_for_what_is_recorded() {
        let precedence = Precedence::default();
        assert!(precedence.quiet().now_or_never().is_some());
        let (one, other) = (precedence.recording(), precedence.recording());
        let mut quiet = std::pin::pin!(precedence.quiet());
        assert!(quiet.as_mut().now_or_never().is_none());
        drop(one);
        assert!(quiet.as_mut().now_or_never().is_none());
        drop(other);
        assert!(quiet.as_mut().now_or_never().is_some());
    }
}
