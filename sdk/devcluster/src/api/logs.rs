//! Logs of containers: asked for here, kept by whoever runs the containers.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use serde_json::Value;

use super::answer::{Answer, Content};
use super::call::{Call, nothing};
use super::errors::{self, Refusal, bad_request};
use super::resource::Resource;
use super::view;
use crate::status::Status;

/// What of a log is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Whose log it is.
    pub container: String,
    /// The log of the container before this one.
    pub previous: bool,
    /// What is still to come, too.
    pub follow: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<u64>,
    /// Only so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Where logs come from: the node.
pub trait Logs: Send + Sync {
    /// Opens the log of a container of a Pod.
    ///
    /// # Errors
    /// A `Status` in the words of the kubelet, such as 400 for a container that waits to start.
    fn open(&self, pod: &Value, options: &LogOptions) -> Result<BoxStream<'static, Bytes>, Status>;
}

impl Call<'_> {
    /// Answers the log of a Pod.
    pub(crate) fn log(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let key = self.key(resource);
        let stored = self.state.store.get(&resource.family(), &key);
        let pod = stored.map(|stored| view::present(resource, stored));
        let pod = pod.ok_or_else(|| errors::not_found(resource, &self.target.name))?;
        let options = self.log_options(&pod)?;
        if pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default().is_empty() {
            return Ok(nothing(204));
        }
        let logs = self
            .server
            .logs()
            .ok_or_else(|| errors::not_implemented("logs without a node that keeps them"))?;
        let stream = logs.open(&pod, &options)?;
        let mut answer = nothing(200);
        answer.headers.push((http::header::CONTENT_TYPE, "text/plain".into()));
        answer.content = Content::Log(stream);
        Ok(answer)
    }

    fn log_options(&self, pod: &Value) -> Result<LogOptions, Status> {
        let name = &self.target.name;
        for unknown in ["sinceSeconds", "sinceTime", "timestamps"] {
            if self.request.parameter(unknown).is_some_and(|value| !["", "false"].contains(&value)) {
                return Err(errors::not_implemented(format_args!("the parameter {unknown} of logs")));
            }
        }
        let count = |field: &str| match self.request.parameter(field) {
            None | Some("") => Ok(None),
            Some(text) => {
                text.parse().map(Some).map_err(|_| bad_request(errors::no_number("ParseInt", text)))
            }
        };
        let all: Vec<&str> = ["/spec/initContainers", "/spec/containers"]
            .iter()
            .flat_map(|list| pod.pointer(list).and_then(Value::as_array).into_iter().flatten())
            .filter_map(|container| container.get("name")?.as_str())
            .collect();
        let container = match (self.request.parameter("container").unwrap_or_default(), all.as_slice()) {
            ("", [one]) => (*one).to_owned(),
            ("", all) => {
                let message = format!(
                    "a container name must be specified for pod {name}, choose one of: [{}]",
                    all.join(" ")
                );
                return Err(bad_request(message));
            }
            (named, all) if all.contains(&named) => named.to_owned(),
            (named, _) => return Err(bad_request(format!("container {named} is not valid for pod {name}"))),
        };
        Ok(LogOptions {
            container,
            previous: self.request.flag("previous") == Some(true),
            follow: self.request.flag("follow") == Some(true),
            tail_lines: count("tailLines")?,
            limit_bytes: count("limitBytes")?,
        })
    }
}
