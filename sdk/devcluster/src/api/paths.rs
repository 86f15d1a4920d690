//! Paths that are no resources: discovery, the version, health.

use std::sync::Arc;

use http::{Method, header};
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::errors::{self, Refusal};
use super::negotiate::{self, Form, Place};
use super::resource::Resource;
use super::{discovery, openapi, options};

/// Answers a request for such a path.
pub(crate) fn answer(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let path = call.request.path.clone();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let custom = parts.get(1).is_some_and(|group| !discovery::is_builtin(group));
    let reads = [Method::GET, Method::HEAD].contains(&call.request.method);
    match parts.as_slice() {
        ["api" | "apis" | "version" | "healthz" | "livez" | "readyz", ..] if !reads && !custom => {
            return Err(errors::no_such_method().into());
        }
        _ => {}
    }
    options::known(call.request, &call.target)?;
    let own = call.state.custom();
    match parts.as_slice() {
        ["api"] => document(call, discovery::api("127.0.0.1"), |_| discovery::aggregated(&[], true)),
        ["api", "v1"] => document_of(call, discovery::version(&own, "", "v1")),
        ["apis"] => {
            document(call, discovery::apis(&own), |call| discovery::aggregated(&call.state.custom(), false))
        }
        ["apis", group] => document_of(call, discovery::group(&own, group)),
        ["apis", group, version] => document_of(call, discovery::version(&own, group, version)),
        ["version"] => document_of(call, Some(version())),
        ["healthz" | "livez" | "readyz"] => Ok(Answer::text(200, "ok")),
        ["openapi", "v3"] => document_of(call, Some(openapi::root(&all(call)))),
        ["openapi", "v3", "api", version] => document_of(call, openapi::version(&all(call), "", version)),
        ["openapi", "v3", "apis", group, version] => {
            document_of(call, openapi::version(&all(call), group, version))
        }
        ["openapi", ..] | ["metrics", ..] | ["logs", ..] => Err(errors::not_implemented(&path).into()),
        ["api", ..] => Err(errors::no_such_resource().into()),
        ["apis", group, ..] if discovery::is_builtin(group) => Err(errors::no_such_resource().into()),
        ["apis", ..] => Err(errors::no_page()),
        [] => Ok(Answer::new(
            200,
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"]}),
        )),
        _ => Err(errors::no_page()),
    }
}

fn all(call: &Call<'_>) -> Vec<Arc<Resource>> {
    call.state.all().cloned().collect()
}

fn document_of(call: &Call<'_>, document: Option<Value>) -> Result<Answer, Refusal> {
    let Some(document) = document else { return Err(errors::no_page()) };
    negotiate::accept(call.request, Place::Plain)?;
    Ok(Answer::new(200, document))
}

fn document(
    call: &Call<'_>,
    document: Value,
    aggregated: impl Fn(&Call<'_>) -> Value,
) -> Result<Answer, Refusal> {
    if negotiate::accept(call.request, Place::Discovery)?.form != Form::Discovery {
        return Ok(Answer::new(200, document));
    }
    let document = aggregated(call);
    let tag = format!("\"{:016X}\"", call.state.store.revision());
    let mut answer = Answer::new(200, document);
    answer.headers = vec![
        (header::CONTENT_TYPE, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList".into()),
        (header::CACHE_CONTROL, "public".into()),
        (header::ETAG, tag),
        (header::VARY, "Accept".into()),
    ];
    Ok(answer)
}

fn version() -> Value {
    json!({"major": "1", "minor": "34", "emulationMajor": "1", "emulationMinor": "34",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "33", "gitVersion": "v1.34.4+devcluster",
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "",
        "platform": "linux/amd64"})
}
