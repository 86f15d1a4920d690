//! Clients that act as the components. Every component has a ServiceAccount, and the controller carries out its requests as
//! that account: RBAC limits the component, and the audit log names it (docs/decisions/0009-components-act-as-accounts.md).

use parking_lot::Mutex;
use std::collections::HashMap;

use http::{HeaderName, HeaderValue, Request};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use tower::service_fn;

const IMPERSONATE: HeaderName = HeaderName::from_static("impersonate-user");

/// Returns the name of a component's ServiceAccount in the controller's namespace.
#[must_use]
pub fn service_account(component: &str) -> String {
    format!("backstay-{component}")
}

/// One client for each component, over the controller's own connection.
pub struct Impersonation {
    client: Client,
    namespace: String,
    known: Mutex<HashMap<String, Client>>,
}

impl Impersonation {
    /// Clients over `client`, for ServiceAccounts in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), known: Mutex::default() }
    }

    /// Returns the client of a component.
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
