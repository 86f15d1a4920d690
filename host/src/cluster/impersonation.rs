//! Clients that act as the components: every component has a ServiceAccount of its own, and whatever a component asks for
//! is done as that account (architecture.md 5). So what it may do is plain RBAC, enforced by the API server, and the audit
//! log names it.

use parking_lot::Mutex;
use std::collections::HashMap;

use http::{HeaderName, HeaderValue, Request};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use tower::service_fn;

const IMPERSONATE: HeaderName = HeaderName::from_static("impersonate-user");

/// Name of the ServiceAccount of a component, in the controller's namespace.
#[must_use]
pub fn service_account(component: &str) -> String {
    format!("backstay-{component}")
}

/// One client a component, all of them over the controller's own connection.
pub struct Impersonation {
    client: Client,
    namespace: String,
    known: Mutex<HashMap<String, Client>>,
}

impl Impersonation {
    /// Clients over `client`, of ServiceAccounts in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), known: Mutex::default() }
    }

    /// The client of a component.
    #[must_use]
    pub fn client_for(&self, component: &str) -> Client {
        let mut known = self.known.lock();
        known.entry(component.to_owned()).or_insert_with(|| self.impersonating(component)).clone()
    }

    fn impersonating(&self, component: &str) -> Client {
        let user = format!("system:serviceaccount:{}:{}", self.namespace, service_account(component));
        // Names of namespaces and components are DNS labels.
        let user =
            HeaderValue::from_str(&user).unwrap_or_else(|_| HeaderValue::from_static("system:anonymous"));
        let real = self.client.clone();
        let acting = service_fn(move |mut request: Request<Body>| {
            request.headers_mut().insert(IMPERSONATE, user.clone());
            let real = real.clone();
            async move { real.send(request).await }
        });
        ClientBuilder::new(acting, "default").build()
    }
}
