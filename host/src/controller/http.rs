//! The HTTP server of the probes and metrics: `/livez`, `/readyz` and `/metrics`.
//!
//! It has a thread of its own, so that it answers however busy the controller is. `/livez` fails only if the thread that
//! reconciles has not moved for a minute: the kubelet must not end a controller because it has much to do.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::sync::oneshot;

use crate::context::Context;

const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How often the thread that reconciles shows that it moves.
const BEAT: Duration = Duration::from_secs(1);
/// For how long it may stand still.
const STILL: Duration = Duration::from_secs(60);

/// Shows that the thread which reconciles moves.
#[derive(Clone)]
pub struct Heartbeat {
    began: Instant,
    /// Milliseconds from the beginning to the last beat.
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// Begins with a beat.
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now(), last: Arc::default() }
    }

    /// Beats for ever.
    pub async fn beat(self) {
        let mut every = tokio::time::interval(BEAT);
        loop {
            let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last.store(now, Ordering::Relaxed);
            every.tick().await;
        }
    }

    /// Returns how long ago the last beat was.
    fn ago(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// A running server. Dropping it ends the server.
pub struct Server {
    ended: oneshot::Receiver<()>,
    _goes_on: oneshot::Sender<()>,
}

impl Server {
    /// Waits until the server ends, which it does only if it fails.
    pub async fn ended(&mut self) {
        // The other end is dropped with the server.
        let _ = (&mut self.ended).await;
    }
}

/// A controller is ready when it does its work. With CRDs of another version it begins nothing: an administrator shall see
/// that at the Deployment.
fn readiness(filled: &AtomicBool, ctx: &Context) -> Result<(), String> {
    if !filled.load(Ordering::Relaxed) {
        return Err("the watches have not been filled yet".to_owned());
    }
    ctx.kept_fields.complaint(&[]).map_or(Ok(()), Err)
}

/// Serves the probes and metrics on a thread of their own, if the settings have an address; without one, the server never
/// ends.
///
/// # Errors
/// The address cannot be bound.
pub fn serve(
    ctx: Arc<Context>,
    ready: Arc<AtomicBool>,
    heartbeat: Heartbeat,
) -> Result<Server, std::io::Error> {
    let (ending, ended) = oneshot::channel();
    let (goes_on, until) = oneshot::channel::<()>();
    let server = Server { ended, _goes_on: goes_on };
    let Some(address) = ctx.settings.http else {
        tokio::spawn(async move {
            let _ = until.await;
            drop(ending);
        });
        return Ok(server);
    };
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tracing::info!(address = %listener.local_addr()?, "serving probes and metrics");
    let router = router(ctx, ready, heartbeat);
    std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::select! {
                served = axum::serve(listener, router) => served,
                _ = until => Ok(()),
            }
        });
        if let Err(error) = served {
            tracing::error!(%error, "http server failed");
        }
        drop(ending);
    })?;
    Ok(server)
}

fn router(ctx: Arc<Context>, ready: Arc<AtomicBool>, heartbeat: Heartbeat) -> Router {
    let probed = ctx.clone();
    Router::new()
        .route("/livez", get(move || async move { livez(heartbeat.ago()) }))
        .route(
            "/readyz",
            get(move || async move {
                match readiness(&ready, &probed) {
                    Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
                    Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
                }
            }),
        )
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, METRICS)], ctx.metrics.text()) }),
        )
}

fn livez(still_for: Duration) -> (StatusCode, String) {
    if still_for <= STILL {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let told = format!("the controller has not moved for {} seconds\n", still_for.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, told)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_controller_is_alive_unless_it_has_not_moved_for_a_minute() {
        assert_eq!(livez(STILL), (StatusCode::OK, "ok\n".to_owned()));
        let (code, told) = livez(STILL + Duration::from_secs(30));
        assert_eq!((code.as_u16(), told.as_str()), (503, "the controller has not moved for 90 seconds\n"));
    }

    #[tokio::test]
    async fn a_heartbeat_is_as_old_as_its_last_beat() {
        let began = Instant::now().checked_sub(Duration::from_secs(600)).expect("the machine is older");
        let heartbeat = Heartbeat { began, last: Arc::default() };
        assert!(heartbeat.ago() >= Duration::from_secs(600));
        assert_eq!(heartbeat.clone().beat().now_or_never(), None, "it goes on");
        assert!(heartbeat.ago() < Duration::from_secs(600));
    }

    /// Asks while the thread of the test, which would reconcile, is blocked by the answer.
    #[tokio::test]
    async fn probes_and_metrics_are_answered_while_the_thread_that_reconciles_stands_still() {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let ctx = crate::context::tests::empty(crate::cluster::stand_in::StandIn::default().client());
        let ctx = Arc::new(Context {
            settings: crate::settings::Settings { http: Some(address), ..ctx.settings.clone() },
            ..Arc::into_inner(ctx).expect("it is the only one")
        });
        let server = serve(ctx, Arc::new(AtomicBool::new(true)), Heartbeat::begin()).expect("a server");
        for path in ["/livez", "/readyz", "/metrics"] {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it takes requests");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            assert!(answer.contains(" 200 OK"), "{path}: {answer}");
        }
        drop(server);
    }
}
