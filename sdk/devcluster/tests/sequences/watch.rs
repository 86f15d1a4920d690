//! Watches that a sequence has open.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::json::parse;
use super::server::Content;

/// For how long a watch is listened to after the last event that was waited for.
const LINGER: Duration = Duration::from_millis(400);

/// A watch that is read by a task of its own.
pub(crate) struct Watch {
    code: u16,
    seen: Arc<Seen>,
}

/// The events that have come, whether the stream has ended, and who waits for more.
type Seen = (Mutex<(Vec<Value>, bool)>, Notify);

impl Watch {
    /// One that was refused.
    pub(crate) fn refused(code: u16) -> Self {
        Self { code, seen: Arc::new(Seen::default()) }
    }

    /// Reads a stream until it ends, or until nobody asks for its events any more.
    pub(crate) fn of(mut body: Content) -> Self {
        let seen = Arc::new(Seen::default());
        let reader = Arc::downgrade(&seen);
        tokio::spawn(async move {
            let mut rest = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                rest.extend(frame.into_data().unwrap_or_default());
                let Some(seen) = reader.upgrade() else { return };
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    seen.0.lock().0.extend(parse(&line));
                }
                seen.1.notify_waiters();
            }
            if let Some(seen) = reader.upgrade() {
                seen.0.lock().1 = true;
                seen.1.notify_waiters();
            }
        });
        Self { code: 200, seen }
    }

    /// The events that have come since the last time.
    pub(crate) async fn read(&self, step: &Value) -> Value {
        if self.code != 200 {
            return json!({"events": [], "ended": true});
        }
        let count = usize::try_from(step["events"].as_u64().unwrap_or(0)).unwrap_or(0);
        let to_end = step["to_end"] == true;
        let within = Duration::from_secs_f64(step["within"].as_f64().unwrap_or(6.0));
        self.until(within, |events, ended| ended || !to_end && events >= count).await;
        if !to_end {
            self.until(LINGER, |_, ended| ended).await;
        }
        let mut seen = self.seen.0.lock();
        json!({"events": std::mem::take(&mut seen.0), "ended": seen.1})
    }

    async fn until(&self, within: Duration, enough: impl Fn(usize, bool) -> bool) {
        let wait = async {
            loop {
                let more = self.seen.1.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                let (events, ended) = {
                    let seen = self.seen.0.lock();
                    (seen.0.len(), seen.1)
                };
                if enough(events, ended) {
                    return;
                }
                more.await;
            }
        };
        // Time that runs out is an answer too: what has come by then.
        let _ = timeout(within, wait).await;
    }
}
