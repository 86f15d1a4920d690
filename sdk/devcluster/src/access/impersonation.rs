//! Acting as another user, by the headers `Impersonate-…`.

use http::HeaderMap;

use super::{ANONYMOUS, AUTHENTICATED, Attributes, Objects, UNAUTHENTICATED, User, authorize};
use crate::schema::go;
use crate::status::Status;

/// Why there is no user.
#[derive(Clone, Debug, PartialEq)]
pub enum Denial {
    /// An answer of the kind `Status`.
    Status(Status),
    /// An answer in plain text, with its code.
    Text(u16, String),
}

const API: &str = "authentication.k8s.io";

/// One thing that is asked to be: an `ObjectReference`, in the API server's words.
struct Wish {
    kind: &'static str,
    namespace: String,
    name: String,
    key: String,
}

impl Wish {
    fn new(kind: &'static str, name: &str) -> Self {
        Self { kind, namespace: String::new(), name: name.to_owned(), key: String::new() }
    }

    fn group(&self) -> &'static str {
        if matches!(self.kind, "UserExtra" | "UID") { API } else { "" }
    }

    /// What `%v` prints of it.
    fn words(&self) -> String {
        let version = if self.group().is_empty() { String::new() } else { format!("{API}/v1") };
        format!("{{{} {} {}  {version}  {}}}", self.kind, self.namespace, self.name, self.key)
    }
}

fn wishes(headers: &HeaderMap) -> Vec<Wish> {
    let values = |name: &str| -> Vec<String> {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    };
    let first = |name| values(name).into_iter().next().filter(|value| !value.is_empty());
    let mut wishes = Vec::new();
    if let Some(name) = first("impersonate-user") {
        wishes.push(match account(&name) {
            Some((namespace, account)) => {
                Wish { namespace: namespace.to_owned(), ..Wish::new("ServiceAccount", account) }
            }
            None => Wish::new("User", &name),
        });
    }
    wishes.extend(values("impersonate-group").iter().map(|group| Wish::new("Group", group)));
    let mut extras: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-extra-")).collect();
    extras.sort_by_key(|name| name.as_str());
    for name in extras {
        let key = unescaped(name.as_str().trim_start_matches("impersonate-extra-"));
        wishes.extend(
            values(name.as_str())
                .iter()
                .map(|value| Wish { key: key.clone(), ..Wish::new("UserExtra", value) }),
        );
    }
    wishes.extend(first("impersonate-uid").iter().map(|uid| Wish::new("UID", uid)));
    wishes
}

/// Returns the namespace and the name in the user name of a ServiceAccount.
fn account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let label = |text: &str| {
        let within = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        text.starts_with(within)
            && text.ends_with(within)
            && text.chars().all(|c| within(c) || c == '-' || c == '.')
    };
    (label(namespace) && label(name) && !namespace.contains('.')).then_some((namespace, name))
}

/// Returns a key of `extra` without its percent signs; as it is if they are wrong.
fn unescaped(key: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = key;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let Some(byte) = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return key.to_owned();
        };
        bytes.push(byte);
        rest = after.get(2..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_owned())
}

/// Returns who a request acts as: the authenticated user, or whom the headers name. The URI is that of the request.
///
/// # Errors
///
/// 500 in plain text if groups, uid or extra are named without a user; 403 if one may not act as that user.
pub fn user(
    headers: &HeaderMap,
    uri: &str,
    authenticated: User,
    objects: &dyn Objects,
) -> Result<User, Denial> {
    let wishes = wishes(headers);
    if wishes.is_empty() {
        return Ok(authenticated);
    }
    if !wishes.iter().any(|wish| matches!(wish.kind, "User" | "ServiceAccount")) {
        let words: Vec<_> = wishes.iter().map(Wish::words).collect();
        let text = format!(
            "Internal Server Error: {}: requested [{}] without impersonating a user\n",
            go::quote(uri),
            words.join(" ")
        );
        return Err(Denial::Text(500, text));
    }
    let mut acting = User::default();
    for wish in &wishes {
        let (resource, subresource) = become_(&mut acting, wish);
        let (namespace, group, name) = (wish.namespace.as_str(), wish.group(), wish.name.as_str());
        let asked =
            Attributes { verb: "impersonate", namespace, group, resource, subresource, name, path: "" };
        authorize(objects, &authenticated, &asked)
            .map_err(|words| Denial::Status(asked.forbidden(&words)))?;
    }
    if acting.groups.is_empty() {
        let account = wishes.first().filter(|wish| wish.kind == "ServiceAccount");
        acting.groups = account.map_or_else(Vec::new, |wish| {
            vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{}", wish.namespace)]
        });
    }
    let known = acting.name != ANONYMOUS;
    let has = |group: &str| acting.groups.iter().any(|other| other == group);
    if known && !has(AUTHENTICATED) && !has(UNAUTHENTICATED) {
        acting.groups.push(AUTHENTICATED.to_owned());
    } else if !known && !has(UNAUTHENTICATED) {
        acting.groups.push(UNAUTHENTICATED.to_owned());
    }
    Ok(acting)
}

/// Makes the user what is wished, and returns the resource and subresource to which one needs the verb `impersonate`.
fn become_<'a>(user: &mut User, wish: &'a Wish) -> (&'static str, &'a str) {
    let name = wish.name.clone();
    match wish.kind {
        "ServiceAccount" => {
            user.name = format!("system:serviceaccount:{}:{name}", wish.namespace);
            ("serviceaccounts", "")
        }
        "User" => {
            user.name = name;
            ("users", "")
        }
        "Group" => {
            user.groups.push(name);
            ("groups", "")
        }
        "UID" => {
            user.uid = name;
            ("uids", "")
        }
        _ => {
            user.extra.entry(wish.key.clone()).or_default().push(name);
            ("userextras", &wish.key)
        }
    }
}
