//! A guest of tests: a pod strategy that also cleans up when a Backup is deleted, by the Backup's metadata alone, without
//! the strategy.

use backstay_sdk::prelude::*;
use backstay_sdk::results::{self, Report};
use backstay_sdk::{Deserialize, Value, json};

/// Metadata key of a Backup with the image that made it.
const IMAGE: &str = "test.backstay.dev/image";
/// Metadata key of a Backup with the command that cleans up after it.
const COMMAND: &str = "test.backstay.dev/command";

/// Runs one command in one image, for backup, restore and cleanup alike.
#[derive(Debug)]
pub struct Scrubber;

/// The spec of a `Scrub`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
#[serde(rename_all = "camelCase")]
pub struct ScrubSpec {
    /// The image to run.
    pub image: String,
    /// A command for `/bin/sh -c`. It gets `MODE`, `APPLICATION`, `BACKUP` and `URI`.
    pub command: String,
    /// The node to run on, whatever its taints are.
    #[serde(default)]
    pub node: Option<String>,
}

impl Strategy for Scrubber {
    const NAME: &'static str = "scrubber";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind = Kind { group: "test.backstay.dev", version: "v1", kind: "Scrub", plural: "scrubs" };
    const TRAITS: Traits = Traits { restore: true, cleanup: true, ..Traits::NONE };
    const LONGEST_RUN: u32 = 600;
    type Spec = ScrubSpec;
}

impl PodStrategy for Scrubber {
    fn render(request: &Request<ScrubSpec>, _: Option<&Value>) -> Result<PodRun, Failure> {
        let spec = what(request)?;
        let backup = request.backup.as_ref();
        let uri = backup.and_then(|b| b.artifact.as_ref()).map_or("", |a| a.uri.as_str());
        let env = |name: &str, value: &str| json!({"name": name, "value": value});
        let container = json!({
            "name": "scrub",
            "image": spec.image,
            "command": ["/bin/sh", "-c", spec.command],
            "env": [
                env("MODE", request.mode.as_str()),
                env("APPLICATION", &request.application.name),
                env("BACKUP", backup.map_or("", |b| &b.name)),
                env("URI", uri),
            ],
        });
        let template = json!({"spec": {"restartPolicy": "Never", "nodeSelector": spec.node.as_ref().map(|node| json!({"kubernetes.io/hostname": node})),
            "tolerations": spec.node.as_ref().map(|_| json!([{"operator": "Exists"}])),
            "containers": [container]}});
        Ok(PodRun { backoff_limit: 0, active_deadline: Some(300), ..PodRun::new(template) })
    }

    fn parse(request: &Request<ScrubSpec>, ended: &PodResult) -> Result<Outcome, Failure> {
        if !ended.succeeded {
            return Err(Failure::new("ScrubFailed", results::cause_of_failure(ended)));
        }
        if request.mode != Mode::Backup {
            return Ok(Outcome::default());
        }
        let spec = what(request)?;
        let report = results::report(ended).map_err(|e| Failure::new(e.reason(), e.to_string()))?;
        let Report { artifact, mut metadata } = report.unwrap_or_default();
        metadata.insert(IMAGE.to_owned(), spec.image);
        metadata.insert(COMMAND.to_owned(), spec.command);
        Ok(Outcome { artifact, metadata, ..Outcome::default() })
    }
}

/// Returns image and command of the strategy, or of the Backup's metadata if there is no strategy.
fn what(request: &Request<ScrubSpec>) -> Result<ScrubSpec, Failure> {
    let remembered = || {
        let metadata = &request.backup.as_ref()?.metadata;
        Some(ScrubSpec {
            image: metadata.get(IMAGE)?.clone(),
            command: metadata.get(COMMAND)?.clone(),
            node: None,
        })
    };
    match (request.spec(), remembered()) {
        (Ok(spec), _) => Ok(spec.clone()),
        (Err(_), Some(spec)) => Ok(spec),
        (Err(missing), None) => Err(missing),
    }
}

backstay_sdk::export_pod!(Scrubber);
