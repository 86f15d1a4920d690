//! Writes applications to tape.

use backstay_sdk::prelude::*;
use backstay_sdk::{Deserialize, Value, json, results};

/// The strategy's `spec`. Its doc comments become the descriptions that `kubectl explain` shows.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct TapeSpec {
    /// The image that holds the tape tools.
    pub image: String,
    /// The drive to write to.
    #[serde(default)]
    #[schemars(range(max = 7))]
    pub drive: u8,
}

pub struct Tape;

impl Strategy for Tape {
    const NAME: &'static str = "tape";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind = Kind { group: "strategy.example.org", version: "v1", kind: "Tape", plural: "tapes" };
    const TRAITS: Traits = Traits { restore: true, strategy_on_restore: true, ..Traits::NONE };
    const LONGEST_RUN: u32 = 2 * 60 * 60;
    type Spec = TapeSpec;
}

impl PodStrategy for Tape {
    fn render(request: &Request<TapeSpec>, application: Option<&Value>) -> Result<PodRun, Failure> {
        let spec = request.spec()?;
        let claim = application.and_then(|a| a["spec"]["volumeClaim"].as_str()).ok_or_else(|| {
            Failure::new(
                "NoVolume",
                "the application has no spec.volumeClaim; tapes are written from a volume",
            )
        })?;
        let slot = request.parameters.get("slot").map_or("0", String::as_str);
        Ok(PodRun::new(json!({"spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "tape",
                "image": spec.image,
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "args": [request.mode.as_str(), format!("--drive={}", spec.drive), format!("--slot={slot}")],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
        }})))
    }

    fn parse(request: &Request<TapeSpec>, ended: &PodResult) -> Result<Outcome, Failure> {
        if !ended.succeeded {
            return Err(Failure::new("TapeFailed", results::cause_of_failure(ended)));
        }
        if request.mode != Mode::Backup {
            return Ok(Outcome::default());
        }
        let report = results::report(ended).map_err(|e| Failure::new(e.reason(), e.to_string()))?;
        let report =
            report.ok_or_else(|| Failure::new("NoReport", "the tape tool did not say what it wrote"))?;
        Ok(Outcome { artifact: report.artifact, metadata: report.metadata, ..Outcome::default() })
    }
}

backstay_sdk::export_pod!(Tape);
