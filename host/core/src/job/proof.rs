//! The proof that the controller made a Job: a code over its names that only the holder of the controller's key can
//! write.
//!
//! Tenants write labels and owner references of objects in their namespaces, so neither says who made it
//! (docs/decisions/0019-who-made-it.md).

use std::fmt;
use std::fmt::Write as _;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};

/// Annotation of a Job with the proof that the controller made it.
pub const PROOF_ANNOTATION: &str = "backstay.dev/proof";
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The controller's key.
#[derive(Clone, PartialEq, Eq)]
pub struct ProofKey([u8; 32]);

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(..)")
    }
}

impl ProofKey {
    /// Returns the key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the key's bytes, for storing.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the proof of the Job `name` of a run.
    #[must_use]
    pub fn of_job(&self, namespace: &str, name: &str, run_uid: &str) -> String {
        self.over(&["Job", namespace, name, run_uid])
    }

    /// Returns whether the controller made the Job for the run with this uid.
    #[must_use]
    pub fn proves(&self, job: &Job, run_uid: &str) -> bool {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let meta = &job.metadata;
        written(meta).is_some_and(|proof| {
            same(proof, &self.of_job(&text(&meta.namespace), &text(&meta.name), run_uid))
        })
    }

    /// Returns HMAC-SHA-256 of the parts, each with its length, as hex digits.
    fn over(&self, parts: &[&str]) -> String {
        let mut message = Vec::new();
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        hex(&hmac(&self.0, &message))
    }
}

/// Returns the proof that an object carries.
fn written(meta: &ObjectMeta) -> Option<&str> {
    meta.annotations.as_ref()?.get(PROOF_ANNOTATION).map(String::as_str)
}

/// Returns whether two proofs are equal. The time it takes does not tell where they differ.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// HMAC of RFC 2104 with SHA-256, for keys no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| -> Vec<u8> {
        key.iter().copied().chain(std::iter::repeat(0)).take(BLOCK).map(|k| k ^ byte).collect()
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> ProofKey {
        ProofKey::new([7; 32])
    }

    fn job(namespace: &str, name: &str, proof: &str) -> Job {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace,
            "annotations": {PROOF_ANNOTATION: proof}}}))
        .unwrap()
    }

    #[test]
    fn the_code_is_hmac_sha_256() {
        // RFC 4231, test cases 1 and 2.
        assert_eq!(
            hex(&hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_proof_is_of_one_job_of_one_run_under_one_key() {
        let proof = key().of_job("a", "n-backup", "run-1");
        assert!(key().proves(&job("a", "n-backup", &proof), "run-1"));
        assert!(!key().proves(&job("a", "n-backup", &proof), "run-2"));
        assert!(!key().proves(&job("b", "n-backup", &proof), "run-1"));
        assert!(!key().proves(&job("a", "m-backup", &proof), "run-1"));
        assert!(!ProofKey::new([8; 32]).proves(&job("a", "n-backup", &proof), "run-1"));
        assert!(!key().proves(&job("a", "n-backup", ""), "run-1"));
        assert!(!key().proves(&Job::default(), "run-1"));
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(key().of_job("a", "bc", "d"), key().of_job("ab", "c", "d"));
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", key()), "ProofKey(..)");
    }
}
