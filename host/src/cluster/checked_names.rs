//! Names in requests: no request leaves the process whose path or query a name has changed.
//!
//! The client puts names into URLs as they are. Names come from objects that tenants write: `../secrets/x` would be another
//! object, and `x?dryRun=All` another request. Callers check the names of fields, and say which field is wrong; this is the
//! floor under all of them. What is behind a `#` is gone before it gets here: only the callers' check sees that.

use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Method, Request, Uri};
use tower::{BoxError, Layer, Service};

/// The subresources that the controller reads or writes.
const SUBRESOURCES: &[&str] = &["status", "log"];
/// Longest segment: names have 253 characters at most.
const LONGEST: usize = 253;

/// A request that was not sent: a name in it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name in the request is no name of an object, so the request was not sent; correct the reference")]
pub struct NotAName;

/// Checks the names in the requests of a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckedNames;

impl<S> Layer<S> for CheckedNames {
    type Service = Checked<S>;

    fn layer(&self, inner: S) -> Checked<S> {
        Checked(inner)
    }
}

/// See [`CheckedNames`].
#[derive(Clone, Debug)]
pub struct Checked<S>(S);

impl<S, B> Service<Request<B>> for Checked<S>
where
    S: Service<Request<B>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_plain(request.method(), request.uri()) {
            Either::Left(self.0.call(request))
        } else {
            Either::Right(ready(Err(NotAName.into())))
        }
    }
}

/// Returns whether each segment of the path is a name and the path has the form of the API server's, and no name has become a
/// part of the query. The client encodes what it writes into a query itself.
fn is_plain(method: &Method, uri: &Uri) -> bool {
    let segments: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    let Some(parts) = parts(&segments) else { return false };
    // A read of an object has no parameters of its own.
    let reads_object = method == Method::GET && parts == 2;
    let foreign = |query: &str| query.contains(['?', '/', '#']) || (reads_object && query.contains('='));
    segments.iter().all(|segment| is_name(segment)) && !uri.query().is_some_and(foreign)
}

fn is_name(segment: &str) -> bool {
    let character = |c: u8| c.is_ascii_alphanumeric() || b"-._:~".contains(&c);
    !segment.is_empty()
        && segment.len() <= LONGEST
        && segment.bytes().all(character)
        && !segment.bytes().all(|c| c == b'.')
}

/// Returns how many parts a path has behind group, version and namespace: one for a collection, two for an object, three for a
/// subresource that the controller uses. `None` if no path of the API server has that form.
fn parts(segments: &[&str]) -> Option<usize> {
    let rest = match segments {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        // The schemas of a group and version.
        ["openapi", "v3", "apis", _, _] => return Some(0),
        _ => return (segments.len() <= 2).then_some(0),
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] => rest,
        rest => rest,
    };
    match rest {
        [] | [_] | [_, _] => Some(rest.len()),
        [_, _, subresource] if SUBRESOURCES.contains(subresource) => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::retry::Class;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{ListParams, LogParams};
    use kube::client::{Body, ClientBuilder};
    use kube::{Api, Client};
    use parking_lot::Mutex;
    use std::sync::Arc;

    use super::*;
    use crate::cluster::error::class;
    use crate::cluster::schemas::missing_fields;

    /// A client that notes which requests are sent.
    fn noting() -> (Client, Arc<Mutex<Vec<String>>>) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let noted = sent.clone();
        let answer = tower::service_fn(move |request: Request<Body>| {
            noted.lock().push(request.uri().to_string());
            async { Err::<http::Response<Body>, BoxError>("answered by nobody".into()) }
        });
        (ClientBuilder::new(answer, "default").with_layer(&CheckedNames).build(), sent)
    }

    #[tokio::test]
    async fn a_request_that_a_name_has_changed_is_not_sent_and_that_is_final() {
        let (client, sent) = noting();
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), "tenant-a");
        for name in ["../secrets/x", "a/b", "x?dryRun=All", "..", ".", "a%2fb", "a;b", &"n".repeat(254)] {
            let error = api.get(name).await.expect_err("it is refused");
            assert_eq!(class(&error), Class::Refused, "{name}: {error}");
        }
        for namespace in ["../..", "a/pods", "a?b"] {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            assert_eq!(class(&api.get("x").await.expect_err("it is refused")), Class::Refused, "{namespace}");
        }
        assert_eq!(*sent.lock(), [""; 0]);
    }

    #[tokio::test]
    async fn requests_of_all_forms_are_sent() {
        let (client, sent) = noting();
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), "tenant-a");
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), "tenant-a");
        let selected = ListParams::default().labels("a/b in (c,d),e=f").fields("metadata.name=x");
        let _ = api.list(&selected).await;
        let _ = api.get("system:a.b-c").await;
        let _ = pods.logs("p", &LogParams { container: Some("c".into()), ..LogParams::default() }).await;
        let _ = client.list_core_api_versions().await;
        let _ = client.list_api_group_resources("apps.cozystack.io/v1").await;
        let _ = missing_fields(&client).await;
        assert_eq!(sent.lock().len(), 6);
    }
}
