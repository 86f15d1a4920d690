//! The answers of `validate`, `render` and `parse`.

use backstay_core::contract as c;

use super::super::bindings::{log, types as w};
use super::Lift;
use crate::lift::{Answer, At as _, ContractViolation, rule};
use crate::limits::{
    FAILURE_MESSAGE_BYTES, JSON_BYTES, LOG_TAIL_LINES, POD_DATA_BYTES, PRIVATE_DATA_BYTES,
    UNDERLYING_RESOURCES_BYTES,
};

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    type To = Result<T::To, E::To>;

    fn lift(self, answer: &mut Answer) -> Result<Self::To, ContractViolation> {
        Ok(match self {
            Ok(value) => Ok(value.lift(answer)?),
            Err(error) => Err(error.lift(answer)?),
        })
    }
}

impl Lift for w::Diagnostic {
    type To = c::Diagnostic;

    fn lift(self, answer: &mut Answer) -> Result<c::Diagnostic, ContractViolation> {
        Ok(c::Diagnostic {
            severity: match self.severity {
                w::Severity::Error => c::Severity::Error,
                w::Severity::Warning => c::Severity::Warning,
            },
            at: answer.pointer(self.at).at("at")?,
            message: answer.message(self.message).at("message")?,
        })
    }
}

impl Lift for w::PodRun {
    type To = c::PodRun;

    fn lift(self, answer: &mut Answer) -> Result<c::PodRun, ContractViolation> {
        rule(self.log_lines <= LOG_TAIL_LINES, || {
            format!("must be 0 to {LOG_TAIL_LINES}, is {}", self.log_lines)
        })
        .at("log-lines")?;
        Ok(c::PodRun {
            template: answer.object(self.template, JSON_BYTES).at("template")?,
            backoff_limit: self.backoff_limit,
            active_deadline: self.active_deadline,
            log_lines: self.log_lines,
            data: self.data.map(|data| answer.json(data, POD_DATA_BYTES)).transpose().at("data")?,
            findings: answer.short_list(self.findings, |answer, d| d.lift(answer)).at("findings")?,
        })
    }
}

impl Lift for w::Failure {
    type To = c::Failure;

    fn lift(self, answer: &mut Answer) -> Result<c::Failure, ContractViolation> {
        Ok(c::Failure {
            reason: answer.reason(self.reason).at("reason")?,
            message: answer.text(self.message, FAILURE_MESSAGE_BYTES).at("message")?,
            findings: answer.short_list(self.findings, |answer, d| d.lift(answer)).at("findings")?,
        })
    }
}

/// The last second of the year 9999 that every reader of a Backup decodes, whatever its zone.
const LATEST: i64 = 253_402_207_200 - 1;

impl Lift for w::Outcome {
    type To = c::Outcome;

    fn lift(self, answer: &mut Answer) -> Result<c::Outcome, ContractViolation> {
        Ok(c::Outcome {
            taken_at: self
                .taken_at
                .map(|at| {
                    rule((1..=LATEST).contains(&at), || {
                        format!("must be a time from 1970 to 9999 in seconds, is {at}")
                    })
                    .map(|()| at)
                })
                .transpose()
                .at("taken-at")?,
            artifact: self.artifact.map(|artifact| artifact.lift(answer)).transpose().at("artifact")?,
            metadata: answer.pairs(self.metadata).at("metadata")?,
            underlying_resources: self
                .underlying_resources
                .map(|json| answer.typed_object(json, UNDERLYING_RESOURCES_BYTES))
                .transpose()
                .at("underlying-resources")?,
            private_data: self
                .private_data
                .map(|json| answer.json(json, PRIVATE_DATA_BYTES))
                .transpose()
                .at("private-data")?,
            conditions: answer.short_list(self.conditions, |answer, c| c.lift(answer)).at("conditions")?,
        })
    }
}

impl Lift for w::Artifact {
    type To = c::Artifact;

    fn lift(self, answer: &mut Answer) -> Result<c::Artifact, ContractViolation> {
        rule(!self.uri.is_empty(), || "must not be empty; leave the artifact out if it is unknown".into())
            .at("uri")?;
        // Kubernetes reads 64 bits with a sign.
        let readable = self.size_bytes.is_none_or(|size| i64::try_from(size).is_ok());
        rule(readable, || format!("must be at most {}", i64::MAX)).at("size-bytes")?;
        Ok(c::Artifact {
            uri: answer.message(self.uri).at("uri")?,
            size_bytes: self.size_bytes,
            checksum: self.checksum.map(|checksum| answer.name(checksum)).transpose().at("checksum")?,
        })
    }
}

impl Lift for w::Condition {
    type To = c::Condition;

    fn lift(self, answer: &mut Answer) -> Result<c::Condition, ContractViolation> {
        Ok(c::Condition {
            type_: answer.name(self.type_).at("type")?,
            status: self.status,
            reason: answer.reason(self.reason).at("reason")?,
            message: answer.message(self.message).at("message")?,
        })
    }
}

impl From<log::Level> for c::LogLevel {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
        }
    }
}
