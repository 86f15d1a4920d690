//! The body of a watch: one event a line, with the plan's trouble.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;

use super::layer::LATE;
use super::plan::Trouble;
use super::tap::Tap;
use crate::life::Life;

/// The remaining lines of a watch.
struct Lines {
    chunks: BoxStream<'static, Result<Bytes, BoxError>>,
    buffer: Vec<u8>,
    resource: String,
    tap: Arc<Tap>,
    life: Arc<Life>,
    over: bool,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    type_: String,
}

/// Returns the watch with the trouble of the plan.
pub(super) fn troubled(
    body: UnsyncBoxBody<Bytes, BoxError>,
    resource: &str,
    tap: Arc<Tap>,
    life: Arc<Life>,
) -> UnsyncBoxBody<Bytes, BoxError> {
    let lines = Lines {
        chunks: body.into_data_stream().boxed(),
        buffer: Vec::new(),
        resource: resource.to_owned(),
        tap,
        life,
        over: false,
    };
    let frames = stream::unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Some((line.map(Frame::data), lines))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

impl Lines {
    /// Returns the next line for the controller; `None` when the watch ends.
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if self.over {
                return None;
            }
            let line = match self.read().await? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let Ok(Line { type_ }) = serde_json::from_slice(&line) else { return Some(Ok(line)) };
            if type_ == "BOOKMARK" || type_ == "ERROR" {
                return Some(Ok(line));
            }
            match self.tap.event(&format!("{type_} {}", self.resource)) {
                Some(Trouble::Lose { .. }) => {}
                Some(Trouble::Gap { .. }) => {
                    self.over = true;
                    let expired = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                        "status": "Failure", "code": 410, "reason": "Expired",
                        "message": "the fault plan says: too old resource version"}});
                    return Some(Ok(Bytes::from(format!("{expired}\n"))));
                }
                Some(Trouble::Break { .. }) => {
                    self.over = true;
                    let reset = std::io::ErrorKind::ConnectionReset;
                    return Some(Err(std::io::Error::new(reset, "the fault plan broke the watch").into()));
                }
                Some(Trouble::Slow { .. }) => {
                    tokio::time::sleep(LATE).await;
                    return Some(Ok(line));
                }
                _ => return Some(Ok(line)),
            }
        }
    }

    /// Returns the next line from the API server.
    async fn read(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                return Some(Ok(std::mem::replace(&mut self.buffer, rest).into()));
            }
            tokio::select! {
                biased;
                () = self.life.ended() => std::future::pending().await,
                chunk = self.chunks.next() => match chunk? {
                    Ok(chunk) => self.buffer.extend_from_slice(&chunk),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}
