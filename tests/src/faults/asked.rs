//! Names requests to the API server, and restricts a controller's lists and watches to one namespace.

use http::{Method, Uri};

/// The verb, the resource and the selection of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Verb and resource, such as `create jobs`, `patch backupjobs/status`, `watch pods`, or `discover`.
    pub what: String,
    /// Plural of the resource, with the first label of its group if another resource has the same plural.
    pub resource: String,
    /// The resource with its selectors; equal for a list and the watch that follows it.
    pub selection: String,
    /// The verb. Namespace, group and version are left out of all these fields.
    pub verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Patch,
    Delete,
    Other,
}

impl Verb {
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Patch | Self::Delete)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Other => "discover",
        }
    }
}

/// A parsed path of the API server.
struct Path<'a> {
    /// `/api/v1` or `/apis/G/V`.
    root: String,
    group: &'a str,
    namespaced: bool,
    resource: &'a str,
    name: Option<&'a str>,
    sub: Option<&'a str>,
}

fn path(uri: &Uri) -> Option<Path<'_>> {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let (root, group, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => (format!("/api/{version}"), "", rest),
        ["apis", group, version, rest @ ..] => (format!("/apis/{group}/{version}"), *group, rest),
        _ => return None,
    };
    let (namespaced, rest) = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => (true, rest),
        rest => (false, rest),
    };
    let (resource, rest) = rest.split_first()?;
    Some(Path { root, group, namespaced, resource, name: rest.first().copied(), sub: rest.get(1).copied() })
}

impl Asked {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let Some(path) = path(uri) else {
            let (resource, selection) = (String::new(), String::new());
            return Self { what: "discover".into(), resource, selection, verb: Verb::Other };
        };
        let watch = uri.query().is_some_and(|q| q.split('&').any(|p| p == "watch=true" || p == "watch=1"));
        let verb = match (method.as_str(), path.name) {
            ("GET", None) if watch => Verb::Watch,
            ("GET", None) => Verb::List,
            ("GET", Some(_)) => Verb::Get,
            ("POST", _) => Verb::Create,
            ("PATCH" | "PUT", _) => Verb::Patch,
            ("DELETE", _) => Verb::Delete,
            _ => Verb::Other,
        };
        let resource = match (path.resource, path.group) {
            ("jobs", "batch") => "jobs".to_owned(),
            ("jobs", group) => format!("jobs.{}", group.split('.').next().unwrap_or_default()),
            (resource, _) => resource.to_owned(),
        };
        let sub = path.sub.map(|s| format!("/{s}")).unwrap_or_default();
        let selectors =
            uri.query().into_iter().flat_map(|q| q.split('&')).filter(|p| p.contains("Selector="));
        let selection = std::iter::once(resource.as_str()).chain(selectors).collect::<Vec<_>>().join("&");
        Self { what: format!("{} {resource}{sub}", verb.word()), resource, selection, verb }
    }
}

/// Returns the address of a list or watch, restricted to one namespace: for a namespaced kind to the namespace, for
/// another kind to the object of that name.
pub(super) fn scoped(uri: &Uri, namespace: &str) -> Uri {
    let Some(path) = path(uri) else { return uri.clone() };
    if path.namespaced || path.name.is_some() {
        return uri.clone();
    }
    let query = uri.query().unwrap_or_default();
    let in_namespaces = matches!(
        (path.group, path.resource),
        ("batch" | "", "jobs" | "pods")
            | ("backups.cozystack.io", "backupjobs" | "restorejobs" | "backups" | "plans")
    );
    let scoped = if in_namespaces {
        format!("{}/namespaces/{namespace}/{}?{query}", path.root, path.resource)
    } else {
        format!("{}/{}?{query}&fieldSelector=metadata.name%3D{namespace}", path.root, path.resource)
    };
    scoped.parse().unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, uri: &str) -> String {
        Asked::of(&method.parse().expect("a method"), &uri.parse().expect("a URI")).what
    }

    #[test]
    fn a_call_is_named_by_verb_and_resource() {
        let group = "/apis/backups.cozystack.io/v1alpha1";
        assert_eq!(asked("GET", &format!("{group}/backupjobs?limit=500")), "list backupjobs");
        assert_eq!(asked("GET", &format!("{group}/backupjobs?watch=true&x=y")), "watch backupjobs");
        assert_eq!(
            asked("PATCH", &format!("{group}/namespaces/a/backupjobs/b/status")),
            "patch backupjobs/status"
        );
        assert_eq!(asked("POST", "/apis/batch/v1/namespaces/a/jobs?fieldValidation=Strict"), "create jobs");
        assert_eq!(asked("GET", "/apis/strategy.backups.cozystack.io/v1alpha1/jobs/x"), "get jobs.strategy");
        assert_eq!(asked("GET", "/api/v1/namespaces/a/pods/b/log?x=y"), "get pods/log");
        assert_eq!(asked("GET", "/apis/apps.cozystack.io"), "discover");
    }

    #[test]
    fn a_list_and_the_watch_after_it_have_one_selection() {
        let selection = |query: &str| {
            let uri = format!("/api/v1/namespaces/a/configmaps?{query}");
            Asked::of(&Method::GET, &uri.parse().expect("a URI")).selection
        };
        let watched = selection("watch=true&fieldSelector=metadata.name%3Da&resourceVersion=7");
        assert_eq!(selection("limit=500&fieldSelector=metadata.name%3Da"), watched);
        assert_ne!(selection("limit=10&labelSelector=b"), watched);
    }

    #[test]
    fn lists_and_watches_show_one_namespace() {
        let restricted = |uri: &str| scoped(&uri.parse().expect("a URI"), "a").to_string();
        assert_eq!(restricted("/api/v1/pods?limit=500"), "/api/v1/namespaces/a/pods?limit=500");
        assert_eq!(
            restricted("/apis/backups.cozystack.io/v1alpha1/backupclasses?watch=true"),
            "/apis/backups.cozystack.io/v1alpha1/backupclasses?watch=true&fieldSelector=metadata.name%3Da"
        );
        let one = "/api/v1/namespaces/b/pods/c/log?x=y";
        assert_eq!(restricted(one), one);
    }
}
