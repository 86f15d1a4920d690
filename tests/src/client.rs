//! The client that tests look with and set things up with.

use http::Request;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Error};
use tower::service_fn;

/// A client of the administrator whom `KUBECONFIG` names, for the runtime that asks for it.
///
/// An API server closes a connection that was idle for 90 seconds; a request that is sent at that moment is lost without
/// an answer. The controller tries again by its own rules; what tests do themselves is tried once more here.
///
/// # Errors
/// `KUBECONFIG` leads nowhere.
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
