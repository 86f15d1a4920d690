//! The network between a controller and the API server: latency, lost calls and answers, refusals, calls that arrive late or
//! twice, watches that break, expire or fall behind, and the death of the controller before or after any call.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use backstay_tests::life::Life;
use bytes::Bytes;
use devcluster::api::ApiServer;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use http::header::{AUTHORIZATION, DATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use tower::{BoxError, Service, ServiceExt};

use crate::chance::{at, once_in, one_of};
use crate::plan::{Kept, Network, Part};
use crate::trace::Trace;

type Answered = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The weather of a play: all its networks share it.
pub(crate) struct Weather {
    pub(crate) seed: u64,
    pub(crate) network: Network,
    pub(crate) kept: Kept,
    pub(crate) trace: Trace,
    /// Numbers the calls and events.
    next: AtomicU64,
    /// The faults that struck.
    struck: Mutex<BTreeSet<Part>>,
    /// Until when nobody is answered.
    outage: Mutex<Option<Instant>>,
}

/// A fault of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The call is not sent.
    Unsent,
    /// The call is done, and its answer is lost.
    Lost,
    /// The call is not done, and refused with this code.
    Refused(u16),
    /// The call takes long.
    Slow(Duration),
    /// The call is done, and never answered.
    Silent,
    /// The call is sent twice.
    Twice,
    /// The connection breaks, and the call arrives all the same, so much later: also after the controller has died.
    Arrives(Duration),
    /// The controller dies before the call is sent.
    DiesBefore,
    /// The controller dies after the call is done.
    DiesAfter,
}

/// A fault of a watch, at one of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// The connection breaks before the event.
    Breaks,
    /// The version is too old: the event is not sent, and the watch ends with 410.
    Expires,
    /// The watch ends before the event, as if its time was over.
    Ends,
    /// The event and all after it come late.
    Late(Duration),
}

impl Weather {
    pub(crate) fn new(seed: u64, network: Network, kept: Kept, trace: Trace) -> Self {
        Self {
            seed,
            network,
            kept,
            trace,
            next: AtomicU64::new(0),
            struck: Mutex::default(),
            outage: Mutex::default(),
        }
    }

    /// The faults that struck.
    pub(crate) fn struck(&self) -> BTreeSet<Part> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nobody is answered for a while.
    pub(crate) fn outage(&self, lasts: Duration) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + lasts);
    }

    /// Returns when the API server answers again.
    pub(crate) fn well(&self) -> Instant {
        self.outage_until().unwrap_or_else(Instant::now)
    }

    fn outage_until(&self) -> Option<Instant> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).filter(|until| *until > Instant::now())
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns whether a fault is played, and notes it.
    fn strikes(&self, number: u64, one_in: u32) -> Option<fastrand::Rng> {
        if self.trace.elapsed() >= self.network.until {
            return None;
        }
        let mut rng = at(self.seed, ("fault", number));
        let part = Part::Fault(number);
        if !once_in(&mut rng, one_in) || !self.kept.has(part) {
            return None;
        }
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).insert(part);
        Some(rng)
    }

    fn fault(&self, number: u64, is_watch: bool, goes_on: bool) -> Option<Fault> {
        let mut rng = self.strikes(number, self.network.calls)?;
        let rng = &mut rng;
        if goes_on && rng.bool() {
            // The list whose next page this is can no longer be had.
            return Some(Fault::Refused(410));
        }
        if once_in(rng, self.network.deaths) {
            return Some(if rng.bool() { Fault::DiesBefore } else { Fault::DiesAfter });
        }
        Some(match rng.u32(0..11) {
            0 | 1 => Fault::Unsent,
            2..4 if !is_watch => Fault::Lost,
            4 if !is_watch => Fault::Silent,
            5 if !is_watch => Fault::Twice,
            6 if !is_watch => Fault::Arrives(Duration::from_millis(rng.u64(1..20_000))),
            7 => Fault::Slow(Duration::from_millis(rng.u64(500..30_000))),
            _ => Fault::Refused(one_of(rng, &[429, 500, 502, 503, 504]).unwrap_or(500)),
        })
    }

    fn gap(&self, number: u64) -> Option<Gap> {
        let mut rng = self.strikes(number, self.network.events)?;
        Some(match rng.u32(0..6) {
            0 => Gap::Breaks,
            1 => Gap::Expires,
            2 => Gap::Ends,
            _ => Gap::Late(Duration::from_millis(rng.u64(1..20_000))),
        })
    }

    fn latency(&self, number: u64) -> Duration {
        let most = u64::try_from(self.network.latency.as_micros()).unwrap_or(0);
        if most == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(at(self.seed, ("latency", number)).u64(0..most))
    }
}

/// The network of one process of a controller.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) server: ApiServer,
    pub(crate) token: HeaderValue,
    pub(crate) weather: Arc<Weather>,
    pub(crate) life: Arc<Life>,
    /// Name of the controller, for the trace.
    pub(crate) controller: usize,
    /// What time it is at the API server.
    pub(crate) now: Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>,
}

impl Service<Request<Body>> for Wire {
    type Response = Answered;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answered, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let wire = self.clone();
        async move {
            let alive = wire.life.clone();
            // A dead controller sends and receives nothing.
            tokio::select! {
                biased;
                () = alive.ended() => pending().await,
                answer = wire.handle(request) => answer,
            }
        }
        .boxed()
    }
}

/// A call that can be sent more than once.
struct Sending {
    parts: http::request::Parts,
    body: Bytes,
}

impl Wire {
    async fn handle(self, request: Request<Body>) -> Result<Answered, BoxError> {
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(AUTHORIZATION, self.token.clone());
        let sending = Sending { parts, body: body.collect_bytes().await? };
        let asks = |what| sending.parts.uri.query().is_some_and(|query| query.contains(what));
        let is_watch = asks("watch=true");
        let number = self.weather.number();
        let title = title(&sending.parts);
        let fault = self.weather.fault(number, is_watch, asks("continue="));
        self.tell(number, &title, fault.map_or(String::new(), |fault| format!(" {fault:?}")));
        sleep(self.weather.latency(number)).await;
        if self.weather.outage_until().is_some() {
            return Err(reset());
        }
        match fault {
            None => {}
            Some(Fault::Unsent) => return Err(reset()),
            Some(Fault::Refused(code)) => return Ok(refusal(code)),
            Some(Fault::Slow(pause)) => sleep(pause).await,
            Some(Fault::Arrives(pause)) => {
                tokio::spawn(async move {
                    sleep(pause).await;
                    let code = self.send(&sending, false).await.map(|answer| answer.status().as_u16());
                    self.tell(number, "arrives =", format!(" {}", code.unwrap_or_default()));
                });
                return Err(reset());
            }
            Some(Fault::DiesBefore) => return self.dies().await,
            Some(Fault::Twice) => drop(self.send(&sending, is_watch).await?),
            Some(Fault::Lost) => {
                self.send(&sending, is_watch).await?;
                return Err(reset());
            }
            Some(Fault::Silent) => {
                self.send(&sending, is_watch).await?;
                return pending().await;
            }
            Some(Fault::DiesAfter) => {
                self.send(&sending, is_watch).await?;
                return self.dies().await;
            }
        }
        let answer = self.send(&sending, is_watch).await?;
        self.tell(number, "=", format!(" {}", answer.status().as_u16()));
        sleep(self.weather.latency(number.wrapping_add(1 << 40))).await;
        Ok(answer)
    }

    fn tell(&self, number: u64, what: &str, more: impl AsRef<str>) {
        self.weather.trace.tell(format_args!("c{} #{number} {what}{}", self.controller, more.as_ref()));
    }

    async fn dies(&self) -> Result<Answered, BoxError> {
        self.life.end();
        pending().await
    }

    async fn send(&self, sending: &Sending, is_watch: bool) -> Result<Answered, BoxError> {
        let mut request = Request::new(Full::new(sending.body.clone()));
        *request.method_mut() = sending.parts.method.clone();
        *request.uri_mut() = sending.parts.uri.clone();
        *request.headers_mut() = sending.parts.headers.clone();
        let answer = self.server.clone().oneshot(request).await?;
        let (mut parts, body) = answer.into_parts();
        let date = jiff::fmt::rfc2822::to_string(&(self.now)().to_zoned(jiff::tz::TimeZone::UTC));
        if let Some(date) =
            date.ok().and_then(|date| HeaderValue::from_str(&date.replace("+0000", "GMT")).ok())
        {
            parts.headers.insert(DATE, date);
        }
        let body = if is_watch && parts.status.is_success() {
            let events = BodyExt::into_data_stream(body).map_err(Into::into).boxed();
            let watch = Watch {
                events,
                weather: self.weather.clone(),
                life: self.life.clone(),
                over: false,
                late: None,
            };
            let frames = stream::unfold(watch, |mut watch| async move {
                let event = watch.next().await?;
                Some((event.map(Frame::data), watch))
            });
            BodyExt::boxed_unsync(StreamBody::new(frames))
        } else {
            body.map_err(Into::into).boxed_unsync()
        };
        Ok(Response::from_parts(parts, body))
    }
}

/// The rest of a watch. The API server of this play sends each event by itself.
struct Watch {
    events: BoxStream<'static, Result<Bytes, BoxError>>,
    weather: Arc<Weather>,
    life: Arc<Life>,
    over: bool,
    /// Until when nothing passes.
    late: Option<Instant>,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        if self.over {
            return None;
        }
        let event = tokio::select! {
            biased;
            () = self.life.ended() => pending().await,
            event = self.events.next() => event?,
        };
        let number = self.weather.number();
        match self.weather.gap(number) {
            None => {}
            Some(gap) => {
                self.weather.trace.tell(format_args!("e #{number} {gap:?}"));
                match gap {
                    Gap::Breaks => {
                        self.over = true;
                        return Some(Err(reset()));
                    }
                    Gap::Expires => {
                        self.over = true;
                        let expired = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                            "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired",
                            "message": "too old resource version: 1 (2)"}});
                        return Some(Ok(Bytes::from(format!("{expired}\n"))));
                    }
                    Gap::Ends => return None,
                    Gap::Late(by) => self.late = Some(Instant::now() + by),
                }
            }
        }
        let outage = self.weather.outage_until();
        if let Some(until) = self.late.take().max(outage) {
            sleep_until(until).await;
        }
        sleep(self.weather.latency(number)).await;
        Some(event)
    }
}

/// What a call is, for the trace. The names of Events come from the clock of the machine.
fn title(parts: &http::request::Parts) -> String {
    let path = parts.uri.path();
    let path = match path.find("/events/") {
        Some(at) => path.get(..at).unwrap_or(path),
        None => path,
    };
    let whole = match (&parts.method, parts.uri.query()) {
        (&Method::GET, Some(query)) => format!("GET {path}?{query}"),
        (method, _) => format!("{method} {path}"),
    };
    match parts.headers.get("impersonate-user").and_then(|user| user.to_str().ok()) {
        Some(user) => format!("{whole} as {user}"),
        None => whole,
    }
}

fn refusal(code: u16) -> Answered {
    let reason = match code {
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status: Value = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": format!("the simulation answers {code}"), "details": {"retryAfterSeconds": 1}});
    let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    answer
}

fn reset() -> BoxError {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the simulation cut the connection").into()
}
