//! The contract's exports, implemented by an author's traits.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bindings::about::exports::backstay::strategy::about;
use crate::bindings::pod::exports::backstay::strategy::pod_driver;
use crate::bindings::resource::exports::backstay::strategy::resource_driver;
use crate::failure::{Failure, Finding};
use crate::leak::leak;
use crate::request::Request;
use crate::strategy::{Check, PodStrategy, ResourceStrategy, Strategy};
use crate::wire::{pairs, parse, wit};

/// Implements the contract's exports for a strategy.
pub struct Component<S>(PhantomData<S>);

impl<S: Strategy> about::Guest for Component<S> {
    fn describe() -> wit::Descriptor {
        report_panics();
        S::describe().into()
    }

    fn validate(
        _kind: wit::GroupKind,
        strategy: String,
        parameters: Option<Vec<(String, String)>>,
        options: Option<String>,
    ) -> Vec<wit::Diagnostic> {
        report_panics();
        let findings = match decode_spec::<S::Spec>(&strategy) {
            Err(finding) => vec![finding],
            Ok(spec) => {
                let parameters = parameters.map(pairs);
                let options = options.as_deref().map(parse);
                S::validate(&Check {
                    spec: &spec,
                    parameters: parameters.as_ref(),
                    options: options.as_ref(),
                })
            }
        };
        crate::wire::findings(findings)
    }
}

impl<S: PodStrategy> pod_driver::Guest for Component<S> {
    fn render(request: wit::Request, application: Option<String>) -> Result<wit::PodRun, wit::Failure> {
        report_panics();
        let mut request = decode_request::<S::Spec>(request)?;
        let application = application.as_deref().map(parse);
        let run = S::render_owned(&mut request, application.as_ref())?.into();
        leak((request, application));
        Ok(run)
    }

    fn parse(request: wit::Request, ended: wit::PodResult) -> Result<wit::Outcome, wit::Failure> {
        report_panics();
        let request = decode_request::<S::Spec>(request)?;
        let ended = ended.into();
        let outcome = S::parse(&request, &ended)?.into();
        leak((request, ended));
        Ok(outcome)
    }
}

impl<S: ResourceStrategy> resource_driver::Guest for Component<S> {
    fn step(request: wit::Request, view: wit::View) -> wit::StepResult {
        report_panics();
        let step = match decode_request::<S::Spec>(request) {
            Ok(request) => {
                let view = view.into();
                let step = S::step(&request, &view).unwrap_or_else(Into::into);
                leak((request, view));
                step
            }
            Err(failure) => crate::step::Stop::Fail(failure).into(),
        };
        step.into()
    }
}

/// Decodes the spec of a request.
fn decode_request<S: DeserializeOwned>(mut request: wit::Request) -> Result<Request<S>, Failure> {
    let spec = match request.strategy.take() {
        None => None,
        Some(text) => Some(decode_spec::<S>(&text).map_err(|finding| {
            Failure::new(
                "InvalidStrategy",
                format!(
                    "the spec of the {} strategy is not valid: {}: {}",
                    request.strategy_kind.kind, finding.at, finding.message
                ),
            )
            .with_findings(vec![finding])
        })?),
    };
    Ok(Request::from(request).with_spec(spec))
}

/// Decodes a spec, or names the field that does not decode.
fn decode_spec<S: DeserializeOwned>(text: &str) -> Result<S, Finding> {
    // Naming the field takes twice as long as decoding, so the field is looked for only after an error.
    if let Ok(spec) = serde_json::from_str(text) {
        return Ok(spec);
    }
    serde_path_to_error::deserialize(&parse(text)).map_err(|e| {
        let at = pointer(e.path());
        Finding::error(at, e.into_inner().to_string())
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::from("/strategy");
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Logs the message of a panic, because the trap that follows carries none.
fn report_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|info| crate::log::warn(info)));
}

/// Checks in a native build that the type is a pod strategy, as the export does in a component.
pub const fn is_pod_strategy<S: PodStrategy>() {}

/// Checks in a native build that the type is a resource strategy, as the export does in a component.
pub const fn is_resource_strategy<S: ResourceStrategy>() {}
