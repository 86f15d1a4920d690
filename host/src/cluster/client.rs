//! The client of the API server. It never retries: callers decide that where the outcome matters (docs/rules.md R4), and
//! show it to users. Every call has a timeout, and none is sent whose URL a name has changed.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, DATE};
use http::{HeaderValue, Method, Request, Response};
use jiff::fmt::rfc2822::DateTimeParser;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tokio::time::Instant;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Service, service_fn};

use super::checked_names::CheckedNames;
use super::large_events::LargeEvents;
use super::pages::Pages;
use crate::clock::Clock;

/// How long a call may take to be answered. The API server answers after 60 seconds at the latest, so only a connection
/// that is dead in silence reaches this limit.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(75);
/// An answer that takes longer says nothing about the time.
const PROMPT: Duration = Duration::from_secs(2);
/// How long a connection may be silent while a response is awaited: longer than a watch, which the API server ends after 290
/// seconds at the latest.
const READ_TIMEOUT: Duration = Duration::from_secs(310);

/// Returns a client whose calls time out after `timeout`. The answer to a watch is its first line; later lines may take
/// [`READ_TIMEOUT`].
///
/// # Errors
/// The configuration is unusable.
pub fn client(mut config: Config, timeout: Duration) -> Result<Client, kube::Error> {
    config.default_retry = false;
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    Ok(layered(ClientBuilder::try_from(config)?.with_layer(&TimeoutLayer::new(timeout))))
}

/// Returns the client of this builder, with what every client of the controller does to requests and answers.
#[must_use]
pub fn layered<S, B>(builder: ClientBuilder<S>) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    builder.with_layer(&LargeEvents).with_layer(&Pages::default()).with_layer(&CheckedNames).build()
}

/// Returns `client`, which tells `clock` the `Date` of each answer that comes at once.
#[must_use]
pub fn dated(client: Client, clock: Clock) -> Client {
    let service = service_fn(move |request: Request<Body>| {
        let (client, clock) = (client.clone(), clock.clone());
        async move {
            let sent = Instant::now();
            let answer = client.send(request).await?;
            if sent.elapsed() < PROMPT
                && let Some(date) = answer.headers().get(DATE).and_then(|date| date.to_str().ok())
                && let Ok(date) = DateTimeParser::new().parse_timestamp(date)
            {
                clock.heard(date);
            }
            Ok::<_, kube::Error>(answer)
        }
    });
    ClientBuilder::new(service, "default").build()
}

/// Returns `client` for lists and watches of which only the metadata is wanted: the API server then encodes nothing else, which takes
/// it half the time, and sends a third less of what a Backup is.
#[must_use]
pub fn of_metadata(client: Client) -> Client {
    let service = service_fn(move |mut request: Request<Body>| {
        let client = client.clone();
        let watch =
            request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        if request.method() == Method::GET {
            let accept = if watch { METADATA } else { METADATA_LIST };
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        }
        async move { client.send(request).await }
    });
    ClientBuilder::new(service, "default").build()
}

/// What is accepted where only metadata is wanted.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

#[cfg(test)]
mod tests {
    use backstay_core::retry::Class;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use tokio::net::TcpListener;

    use super::*;
    use crate::cluster::error::class;

    #[tokio::test]
    async fn the_clock_hears_the_date_of_an_answer() {
        let answer = |_: Request<Body>| async {
            let answer = Response::builder().header(DATE, "Thu, 01 Jan 2099 00:00:07 GMT");
            answer.body(Body::from(br#"{"metadata": {"name": "x"}}"#.to_vec()))
        };
        let clock = Clock::start();
        let client = dated(Client::new(service_fn(answer), "default"), clock.clone());
        Api::<Namespace>::all(client).get("x").await.expect("an answer");
        assert_eq!(clock.check().map(|jump| jump.like), Some("the API server"));
        assert!(clock.now().to_string().starts_with("2099-01-01T00:00:0"), "{:?}", clock.now());
    }

    #[tokio::test]
    async fn lists_and_watches_ask_for_metadata_alone_and_a_write_asks_as_ever() {
        let asked = std::sync::Arc::<parking_lot::Mutex<Vec<Option<String>>>>::default();
        let told = asked.clone();
        let answer = move |request: Request<Body>| {
            let accept =
                request.headers().get(ACCEPT).map(|accept| accept.to_str().expect("text").to_owned());
            told.lock().push(accept);
            async { Response::builder().body(Body::from(br#"{"metadata": {"name": "x"}}"#.to_vec())) }
        };
        let client = of_metadata(Client::new(service_fn(answer), "default"));
        for request in [
            Request::get("/api/v1/namespaces?limit=20"),
            Request::get("/api/v1/namespaces?limit=20&watch=true"),
            Request::delete("/api/v1/namespaces/x"),
        ] {
            client.send(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        }
        assert_eq!(*asked.lock(), [Some(METADATA_LIST.to_owned()), Some(METADATA.to_owned()), None]);
    }

    #[tokio::test]
    async fn r4_a_call_that_is_never_answered_is_tried_again() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", server.local_addr().expect("an address"));
        let config = Config::new(url.parse().expect("a URL"));
        let api: Api<Namespace> = Api::all(client(config, Duration::from_millis(50)).expect("a client"));

        let (call, _connection) = tokio::join!(api.get("x"), server.accept());

        let error = call.expect_err("nobody answers");
        assert_eq!(class(&error), Class::Retry { after: None }, "{error}");
    }
}
