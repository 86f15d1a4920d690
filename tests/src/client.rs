//! The administrator's client, for the tests' own requests.

use http::Request;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Error};
use tower::service_fn;

/// Returns a client of the administrator of `KUBECONFIG`, for the current runtime.
///
/// An API server closes a connection after 90 idle seconds, and a request sent at that moment is lost. The controller
/// retries by its own rules; this client retries once.
///
/// # Errors
/// `KUBECONFIG` names no usable configuration.
pub async fn administrator() -> Result<Client, Error> {
    let real = Client::try_default().await?;
    let namespace = real.default_namespace().to_owned();
    let twice = service_fn(move |request: Request<Body>| {
        let real = real.clone();
        async move {
            let again = copy(&request);
            match (real.send(request).await, again) {
                (Err(Error::Service(_) | Error::HyperError(_)), Some(again)) => real.send(again).await,
                (done, _) => done,
            }
        }
    });
    Ok(ClientBuilder::new(twice, namespace).build())
}

fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut again = Request::new(request.body().try_clone()?);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}
