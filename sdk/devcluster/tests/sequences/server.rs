//! The two servers that sequences are played against: the one of this crate, and a real one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use devcluster::api::{ApiServer, Credentials, Options};
use devcluster::controllers::Controllers;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::Service as _;

/// The token of the administrator of the server of this crate.
pub(crate) const TOKEN: &str = "administrator";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A body that is still to come.
pub(crate) type Content = UnsyncBoxBody<Bytes, Error>;

/// A server.
#[derive(Clone)]
pub(crate) enum Server {
    Model(ApiServer),
    Real(Real),
}

impl Server {
    /// A new server of this crate.
    pub(crate) fn model() -> Self {
        let credentials = Credentials { open: false, tokens: vec![TOKEN.into()] };
        Self::Model(ApiServer::new(Options { credentials, seed: 7, ..Options::default() }))
    }

    /// Lets controllers work beside a server of this crate. A real one has them or has not.
    pub(crate) fn control(&self) {
        if let Self::Model(server) = self {
            tokio::spawn(Controllers::new(server.clone(), Some(TOKEN.into())).run());
        }
    }

    /// Answers a request. What keeps a real server from answering is told as the answer 599.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Response<Content> {
        let (parts, body) = request.into_parts();
        match self {
            Self::Model(server) => {
                let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
                let response = server.clone().call(request).await.expect("no error is possible");
                response.map(|body| body.map_err(Error::from).boxed_unsync())
            }
            Self::Real(real) => {
                let request = Request::from_parts(parts, kube::client::Body::from(body));
                match real.client.send(request).await {
                    Ok(response) => response.map(|body| body.map_err(Error::from).boxed_unsync()),
                    Err(error) => {
                        let body = Full::new(Bytes::from(format!("no answer: {error}")));
                        let body = body.map_err(|never| match never {}).boxed_unsync();
                        Response::builder().status(599).body(body).expect("an answer")
                    }
                }
            }
        }
    }
}

/// A real server.
#[derive(Clone)]
pub(crate) struct Real {
    client: kube::Client,
    /// A random word, so that the namespaces of this run are its own.
    pub(crate) run: String,
}

impl Real {
    /// The server of `KUBECONFIG`, with the CRDs of a file of sequences.
    pub(crate) async fn connect(document: &Value) -> Self {
        let client = kube::Client::try_default().await.expect("KUBECONFIG");
        let real = Self { client, run: word() };
        for crd in document["crds"].as_object().into_iter().flatten().map(|(_, crd)| crd) {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            let made = real.plain("POST", path, crd).await;
            assert!([201, 409].contains(&made), "a CRD: {made}");
            let (group, plural) = (&crd["spec"]["group"], &crd["spec"]["names"]["plural"]);
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            for version in crd["spec"]["versions"].as_array().into_iter().flatten() {
                let list = format!("/apis/{}/{}/{}", text(group), text(&version["name"]), text(plural));
                while real.plain("GET", &list, &Value::Null).await != 200 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        real
    }

    async fn plain(&self, method: &str, path: &str, body: &Value) -> u16 {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = Server::Real(self.clone()).send(request.body(body).expect("a request")).await;
        answer.status().as_u16()
    }
}

/// Eight letters by the time of day.
fn word() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_micros();
    let letter = |at: u32| {
        let at = usize::try_from(now / 20_u128.pow(at) % 20).expect("a small number");
        char::from(b"bcdfghjkmnpqrstvwxzy"[at])
    };
    (0..7).map(letter).fold("r".to_owned(), |word, letter| word + letter.encode_utf8(&mut [0; 4]))
}
