//! What a request is about, by its path.

/// What a path names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// The verb; of a path that is no resource the method.
    pub(super) verb: String,
    pub(super) group: String,
    pub(super) plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
    /// Whether it is a resource.
    pub(super) resource: bool,
}

impl Target {
    /// Reads a method and a path with its query.
    pub(super) fn of(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, mut rest) = match parts.as_slice() {
            ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => return Self { verb: method.to_lowercase(), ..Self::default() },
        };
        let mut found = Self { group: group.to_owned(), resource: true, ..Self::default() };
        if let ["namespaces", namespace, inner @ ..] = rest
            && !inner.is_empty()
            && !matches!(inner, ["status" | "finalize", ..])
        {
            found.namespace = (*namespace).to_owned();
            rest = inner;
        }
        let mut words = rest.iter().map(|word| (*word).to_owned());
        found.plural = words.next().unwrap_or_default();
        found.name = words.next().unwrap_or_default();
        found.subresource = words.next().unwrap_or_default();
        let watches = crate::line::watches(query);
        found.verb = match (method, found.name.is_empty()) {
            ("GET", true) if watches => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            (other, _) => other,
        }
        .to_owned();
        found
    }

    /// `create jobs.batch`, `patch backups.backups.cozystack.io/status`, `get /version`.
    pub(super) fn words(&self, path: &str) -> String {
        if !self.resource {
            return format!("{} {}", self.verb, path.split('?').next().unwrap_or_default());
        }
        let dot = if self.group.is_empty() { "" } else { "." };
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        format!("{} {}{dot}{}{slash}{}", self.verb, self.plural, self.group, self.subresource)
    }

    /// Whether it may change something.
    pub(super) fn writes(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_api_server_reads_them() {
        let words = |method, path| Target::of(method, path).words(path);
        assert_eq!(
            words("PATCH", "/apis/batch/v1/namespaces/a/jobs/b/status?force=true"),
            "patch jobs.batch/status"
        );
        assert_eq!(words("GET", "/api/v1/pods?watch=true"), "watch pods");
        assert_eq!(words("GET", "/api/v1/namespaces/a"), "get namespaces");
        assert_eq!(words("GET", "/apis/batch/v1"), "get /apis/batch/v1");
    }
}
