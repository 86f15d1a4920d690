//! What a request asks for: its path, its verb and its parameters.

use http::{HeaderMap, Method, header};

/// A request whose body has been read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
}

/// What a path names, as kube-apiserver's `RequestInfo` has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Target {
    /// Whether it is a resource; otherwise only the path counts.
    pub(crate) resource: bool,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; of other paths the method.
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    /// What follows the subresource: nothing that is modelled has it.
    pub(crate) rest: String,
}

impl Request {
    pub(crate) fn new(parts: &http::request::Parts, body: bytes::Bytes) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.clone(),
            path: decoded(parts.uri.path()),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers.clone(),
            body,
        }
    }

    /// The first value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is set, as kube-apiserver reads it: anything but `0` and `false` is true.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.parameter(name).map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// The text of a header.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What it asks for.
    pub(crate) fn target(&self) -> Target {
        let mut target = Target { verb: self.method.as_str().to_lowercase(), ..Target::default() };
        let parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        let rest = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                target.version = (*version).into();
                rest
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                (target.group, target.version) = ((*group).into(), (*version).into());
                rest
            }
            _ => return target,
        };
        target.resource = true;
        target.verb = match self.method {
            Method::POST => "create",
            Method::GET | Method::HEAD => "get",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        }
        .into();
        self.place(&mut target, rest);
        target
    }

    fn place(&self, target: &mut Target, parts: &[&str]) {
        let mut parts = parts;
        if let ["namespaces", namespace, rest @ ..] = parts {
            target.namespace = (*namespace).into();
            if !rest.is_empty() && !matches!(rest, ["status" | "finalize", ..]) {
                parts = rest;
            }
        }
        let mut parts = parts.iter();
        target.plural = parts.next().copied().unwrap_or_default().into();
        target.name = parts.next().copied().unwrap_or_default().into();
        target.subresource = parts.next().copied().unwrap_or_default().into();
        target.rest = parts.copied().collect::<Vec<_>>().join("/");
        if target.name.is_empty() {
            match target.verb.as_str() {
                "get" if self.flag("watch") == Some(true) => target.verb = "watch".into(),
                "get" => target.verb = "list".into(),
                "delete" => target.verb = "deletecollection".into(),
                _ => {}
            }
        }
    }
}

/// The text behind percent signs; what is no UTF-8 stays as it is.
fn decoded(path: &str) -> String {
    if !path.contains('%') {
        return path.to_owned();
    }
    // A path is not a form: a plus sign means itself.
    let escaped = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map_or_else(|| path.to_owned(), |(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: Method, path: &str) -> Target {
        let request = http::Request::builder().method(method).uri(path).body(()).expect("a request");
        Request::new(&request.into_parts().0, bytes::Bytes::new()).target()
    }

    #[test]
    fn a_namespace_is_both_its_name_and_its_namespace() {
        let target = target(Method::GET, "/api/v1/namespaces/a");
        assert_eq!(
            (target.namespace.as_str(), target.plural.as_str(), target.name.as_str()),
            ("a", "namespaces", "a")
        );
    }

    #[test]
    fn a_get_without_a_name_is_a_list_or_a_watch() {
        assert_eq!(target(Method::GET, "/api/v1/pods").verb, "list");
        assert_eq!(target(Method::GET, "/apis/batch/v1/namespaces/a/jobs?watch").verb, "watch");
        assert_eq!(target(Method::DELETE, "/apis/batch/v1/namespaces/a/jobs").verb, "deletecollection");
    }

    #[test]
    fn a_group_alone_is_no_resource() {
        assert!(!target(Method::GET, "/apis/batch/v1").resource);
    }
}
