//! Bearer tokens: a table, and the tokens of ServiceAccounts.

use std::collections::BTreeMap;

use http::{HeaderMap, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Objects, User};
use crate::status::Status;

/// Whom a token stands for.
#[derive(Clone, Debug)]
struct Bearer {
    user: User,
    /// The namespace and name of the ServiceAccount that must still be there with the user's uid.
    account: Option<(String, String)>,
    until: Option<Timestamp>,
}

/// A token of a ServiceAccount.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issued {
    namespace: String,
    name: String,
    /// The uid of the ServiceAccount.
    uid: String,
    /// What makes the token another one than any other.
    id: String,
    until: Option<Timestamp>,
}

/// The bearer tokens that the API server knows.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    known: BTreeMap<String, Bearer>,
}

/// The shortest and the longest life of a token, in seconds.
const LIFE: (i64, i64) = (600, 1 << 32);

impl Tokens {
    /// Takes a token for this user, for ever.
    pub fn add(&mut self, token: impl Into<String>, user: User) {
        self.known.insert(token.into(), Bearer { user, account: None, until: None });
    }

    /// Takes a token for this ServiceAccount, for ever: it is good while the account with the user's uid is there.
    pub fn add_account(&mut self, token: impl Into<String>, user: User, namespace: &str, name: &str) {
        let account = Some((namespace.to_owned(), name.to_owned()));
        self.known.insert(token.into(), Bearer { user, account, until: None });
    }

    /// Returns who a request comes from; none if it sends no token.
    ///
    /// # Errors
    ///
    /// 401 if nobody has that token.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        objects: &dyn Objects,
        now: Timestamp,
    ) -> Result<Option<User>, Status> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = match header.trim().split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
                token.trim()
            }
            _ => return Ok(None),
        };
        let unknown = || Status::new(401, "Unauthorized", "Unauthorized");
        let bearer = self
            .known
            .get(token)
            .filter(|bearer| bearer.until.is_none_or(|until| now < until))
            .ok_or_else(unknown)?;
        if let Some((namespace, name)) = &bearer.account {
            let account = objects.get("", "serviceaccounts", namespace, name).ok_or_else(unknown)?;
            if account.pointer("/metadata/uid").and_then(Value::as_str) != Some(&bearer.user.uid) {
                return Err(unknown());
            }
        }
        Ok(Some(bearer.user.clone()))
    }

    /// Returns the tokens of ServiceAccounts that are still good.
    pub(crate) fn issued(&self, now: Timestamp) -> Vec<Issued> {
        let good = self.known.iter().filter(|(_, bearer)| bearer.until.is_none_or(|until| now < until));
        let issued = good.filter_map(|(token, bearer)| {
            let (namespace, name) = bearer.account.clone()?;
            let id = token.rsplit('.').next().unwrap_or_default().to_owned();
            Some(Issued { namespace, name, uid: bearer.user.uid.clone(), id, until: bearer.until })
        });
        issued.collect()
    }

    /// Takes a token that was issued, and returns its text.
    pub(crate) fn accept(&mut self, issued: Issued) -> String {
        let Issued { namespace, name, uid, id, until } = issued;
        let mut user = User { uid, ..User::service_account(&namespace, &name) };
        user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("JTI={id}")]);
        let token = format!("{namespace}.{name}.{id}");
        self.known.insert(token.clone(), Bearer { user, account: Some((namespace, name)), until });
        token
    }

    /// Answers a TokenRequest for a ServiceAccount; `id` is a new uid, of which the token is made.
    ///
    /// # Errors
    ///
    /// 422 for a life that is too short or too long; 501 for a token bound to an object.
    pub fn request(
        &mut self,
        account: &Value,
        request: &Value,
        id: &str,
        now: Timestamp,
    ) -> Result<Value, Status> {
        let text = |pointer: &str| account.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let spec = request.get("spec").cloned().unwrap_or_default();
        if spec.get("boundObjectRef").is_some_and(|bound| !bound.is_null()) {
            return Err(Status::new(501, "NotImplemented", "spec.boundObjectRef: tokens bound to an object"));
        }
        let life = spec.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(3600);
        if !(LIFE.0..=LIFE.1).contains(&life) {
            return Err(too_long_or_short(life));
        }
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let until = now.checked_add(SignedDuration::from_secs(life)).ok();
        let [namespace, name, uid, id] = [namespace, name, text("/metadata/uid"), id].map(str::to_owned);
        let token = self.accept(Issued { namespace, name, uid, id, until });
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let audiences = spec
            .get("audiences")
            .filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
            .cloned();
        let mut answer = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": request.get("metadata").cloned().unwrap_or_else(|| json!({})),
            "spec": {"audiences": audiences.unwrap_or_else(|| json!(["https://kubernetes.default.svc.cluster.local"])),
                "expirationSeconds": life, "boundObjectRef": null},
            "status": {"token": token, "expirationTimestamp": until.map(time)}});
        for (field, value) in [("name", name), ("namespace", namespace), ("uid", text("/metadata/uid"))] {
            answer["metadata"][field] = value.into();
        }
        answer["metadata"]["creationTimestamp"] = time(now).into();
        Ok(answer)
    }
}

fn too_long_or_short(life: i64) -> Status {
    let words = if life < LIFE.0 { "less than 10 minutes" } else { "larger than 2^32 seconds" };
    let message = format!("Invalid value: {life}: may not specify a duration {words}");
    let field = "spec.expirationSeconds";
    let causes = json!([{"reason": "FieldValueInvalid", "message": message, "field": field}]);
    Status::new(
        422,
        "Invalid",
        format!("TokenRequest.authentication.k8s.io \"\" is invalid: {field}: {message}"),
    )
    .with(json!({"group": "authentication.k8s.io", "kind": "TokenRequest", "causes": causes}))
}
