//! The real API server.

use anyhow::{Context as _, bail};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::AuthInfo;
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::line;

/// Clients of the real API server. It looks at certificates before tokens, so who sends a token has a client without one.
#[derive(Clone)]
pub(super) struct Upstream {
    administrator: Client,
    bearer: Client,
}

impl Upstream {
    /// The cluster of `KUBECONFIG`.
    pub(super) async fn of_environment() -> anyhow::Result<Self> {
        let mut config = Config::infer().await.context("KUBECONFIG leads to a cluster")?;
        config.default_retry = false;
        config.read_timeout = None;
        config.write_timeout = None;
        let mut bare = config.clone();
        bare.auth_info = AuthInfo::default();
        Ok(Self { administrator: Client::try_from(config)?, bearer: Client::try_from(bare)? })
    }

    /// Sends a request as it is.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let bearer = request.headers().contains_key(http::header::AUTHORIZATION);
        let client = if bearer { &self.bearer } else { &self.administrator };
        client.send(request).await
    }

    /// Sends a GET of the administrator.
    pub(super) async fn get(&self, target: &str) -> anyhow::Result<Response<Body>> {
        let request = Request::get(target).header("accept", "application/json").body(Body::empty())?;
        Ok(self.send(request).await?)
    }

    /// Reads JSON.
    pub(super) async fn read(&self, target: &str) -> anyhow::Result<Value> {
        let response = self.get(target).await?;
        let code = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !code.is_success() {
            bail!("{target}: {code}: {}", String::from_utf8_lossy(&body));
        }
        Ok(line::json(&body))
    }

    /// `userInfo` of the administrator.
    pub(super) async fn administrator(&self) -> anyhow::Result<Value> {
        let review = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"});
        let request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
            .header("content-type", "application/json")
            .body(Body::from(review.to_string().into_bytes()))?;
        let body = self.send(request).await?.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&body)?;
        Ok(answer.pointer("/status/userInfo").context("no userInfo")?.clone())
    }
}
