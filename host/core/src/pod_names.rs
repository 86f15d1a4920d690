//! Checks the names in a rendered pod template before a Job is created from it.
//!
//! A name that no object can have, such as one with `<no value>` in it, is waited for until the run's deadline: the API server
//! accepts it in many fields. Fields that the API server checks itself, such as names of volumes, are left to it; an empty name
//! too.

use crate::contract::{Diagnostic, Json, Severity};

/// What a field names, and so which texts are names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// An object of this kind, whose name is a DNS subdomain.
    Object(&'static str),
    /// A thing whose names have no common form: refused is only what cannot be a word.
    Word(&'static str),
    /// A key of a Secret or ConfigMap.
    Key,
    /// An image.
    Image,
}

use Named::{Image, Key, Object, Word};

const SECRET: Named = Object("Secret");
const CONFIG_MAP: Named = Object("ConfigMap");
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Fields of a pod's spec that name something. `*` is any item of a list.
const FIELDS: [(&str, Named); 37] = [
    ("imagePullSecrets/*/name", SECRET),
    ("nodeName", Object("Node")),
    ("priorityClassName", Object("PriorityClass")),
    ("resourceClaims/*/resourceClaimName", Object("ResourceClaim")),
    ("resourceClaims/*/resourceClaimTemplateName", Object("ResourceClaimTemplate")),
    ("runtimeClassName", Object("RuntimeClass")),
    ("schedulerName", Word("scheduler")),
    ("serviceAccount", Object("ServiceAccount")),
    ("serviceAccountName", Object("ServiceAccount")),
    ("volumes/*/awsElasticBlockStore/volumeID", Word("volume")),
    ("volumes/*/azureDisk/diskName", Word("disk")),
    ("volumes/*/azureFile/secretName", SECRET),
    ("volumes/*/cephfs/secretRef/name", SECRET),
    ("volumes/*/cinder/secretRef/name", SECRET),
    ("volumes/*/cinder/volumeID", Word("volume")),
    ("volumes/*/configMap/name", CONFIG_MAP),
    ("volumes/*/csi/driver", Word("CSI driver")),
    ("volumes/*/csi/nodePublishSecretRef/name", SECRET),
    ("volumes/*/ephemeral/volumeClaimTemplate/spec/dataSource/name", Word("data source")),
    ("volumes/*/ephemeral/volumeClaimTemplate/spec/dataSourceRef/name", Word("data source")),
    ("volumes/*/ephemeral/volumeClaimTemplate/spec/storageClassName", Object("StorageClass")),
    (
        "volumes/*/ephemeral/volumeClaimTemplate/spec/volumeAttributesClassName",
        Object("VolumeAttributesClass"),
    ),
    ("volumes/*/ephemeral/volumeClaimTemplate/spec/volumeName", Object("PersistentVolume")),
    ("volumes/*/flexVolume/secretRef/name", SECRET),
    ("volumes/*/gcePersistentDisk/pdName", Word("disk")),
    ("volumes/*/glusterfs/endpoints", Object("Endpoints")),
    ("volumes/*/image/reference", Image),
    ("volumes/*/iscsi/secretRef/name", SECRET),
    ("volumes/*/nfs/server", Word("server")),
    ("volumes/*/persistentVolumeClaim/claimName", Object("PersistentVolumeClaim")),
    ("volumes/*/projected/sources/*/clusterTrustBundle/name", Word("ClusterTrustBundle")),
    ("volumes/*/projected/sources/*/configMap/name", CONFIG_MAP),
    ("volumes/*/projected/sources/*/secret/name", SECRET),
    ("volumes/*/rbd/secretRef/name", SECRET),
    ("volumes/*/scaleIO/secretRef/name", SECRET),
    ("volumes/*/secret/secretName", SECRET),
    ("volumes/*/storageos/secretRef/name", SECRET),
];

/// Fields of a container that name something.
const CONTAINER_FIELDS: [(&str, Named); 7] = [
    ("env/*/valueFrom/configMapKeyRef/key", Key),
    ("env/*/valueFrom/configMapKeyRef/name", CONFIG_MAP),
    ("env/*/valueFrom/secretKeyRef/key", Key),
    ("env/*/valueFrom/secretKeyRef/name", SECRET),
    ("envFrom/*/configMapRef/name", CONFIG_MAP),
    ("envFrom/*/secretRef/name", SECRET),
    ("image", Image),
];

/// Checks a rendered `core/v1` PodTemplateSpec. Returns one error for each name that nothing can have; `at` is a JSON pointer
/// into the template.
#[must_use]
pub fn check(template: &Json) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let Some(spec) = template.get("spec") else { return findings };
    for (field, named) in FIELDS {
        search(spec, "/spec", field, named, &mut findings);
    }
    for containers in CONTAINERS {
        for (field, named) in CONTAINER_FIELDS {
            search(spec, "/spec", &format!("{containers}/*/{field}"), named, &mut findings);
        }
    }
    findings
}

/// Checks the texts at the path `rest` below `value`, which is at the pointer `at`.
fn search(value: &Json, at: &str, rest: &str, named: Named, findings: &mut Vec<Diagnostic>) {
    if rest.is_empty() {
        let wrong = value.as_str().filter(|text| !text.is_empty() && !is_name(text, named));
        findings.extend(wrong.map(|text| finding(at, text, named)));
        return;
    }
    let (step, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if step == "*" {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            search(item, &format!("{at}/{index}"), rest, named, findings);
        }
    } else if let Some(field) = value.get(step) {
        search(field, &format!("{at}/{step}"), rest, named, findings);
    }
}

fn finding(at: &str, text: &str, named: Named) -> Diagnostic {
    let what = match named {
        Object(kind) => format!("name of a {kind}"),
        Word(what) => format!("name of a {what}"),
        Key => "key of a Secret or ConfigMap".to_owned(),
        Image => "name of an image".to_owned(),
    };
    let remedy = if text.contains("<no value>") {
        "what the template asks for is missing: set it, for example as a parameter of the BackupClass, or give it a default"
    } else {
        match named {
            Object(_) => "correct it: lower case letters, digits, '-' and '.' are allowed",
            Word(_) | Key => "correct it",
            Image => "correct it, such as registry.example.org/path/name:tag",
        }
    };
    let shown = text.get(..text.floor_char_boundary(256)).unwrap_or_default();
    Diagnostic {
        severity: Severity::Error,
        at: at.to_owned(),
        message: format!("{shown:?} is no {what}; {remedy}"),
    }
}

fn is_name(text: &str, named: Named) -> bool {
    match named {
        Object(_) => is_subdomain(text),
        Word(_) => !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>')),
        Key => text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')),
        Image => is_image(text),
    }
}

/// Returns whether a text is a DNS subdomain (RFC 1123) of at most 253 bytes.
fn is_subdomain(text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends = bytes.first().zip(bytes.last()).is_some_and(|(first, last)| lower(*first) && lower(*last));
        ends && bytes.iter().all(|b| lower(*b) || *b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Returns whether container runtimes parse a text as the reference of an image: `[domain/]path[:tag][@digest]`.
fn is_image(text: &str) -> bool {
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(digest)),
        None => (text, None),
    };
    let (domain, rest) = match text.split_once('/') {
        // Without a mark of a domain the first part is one of the path.
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || has_upper_case(first) =>
        {
            (Some(first), rest)
        }
        _ => (None, text),
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    domain.is_none_or(is_domain)
        && path.split('/').all(is_path_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

fn has_upper_case(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let ip6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match ip6 {
        Some(ip6) => ip6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(label),
    };
    host && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Lower case letters and digits, separated by `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(lower) || !text.ends_with(lower) {
        return false;
    }
    let separators = text.split(lower).filter(|part| !part.is_empty());
    separators.into_iter().all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = text.bytes();
    text.len() <= 128 && bytes.next().is_some_and(word) && bytes.all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    !algorithm.is_empty()
        && algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-' | b'_'))
        && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Returns a pod template that has `text` in one field.
    fn with(field: &str, text: &str) -> Value {
        let mut value = json!(text);
        for step in field.rsplit('/') {
            value = if step == "*" { json!([value]) } else { json!({step: value}) };
        }
        json!({"spec": value})
    }

    fn all_fields() -> Vec<(String, Named)> {
        let pod = FIELDS.iter().map(|(field, named)| ((*field).to_owned(), *named));
        let containers = CONTAINERS.iter().flat_map(|kind| {
            CONTAINER_FIELDS.iter().map(move |(field, named)| (format!("{kind}/*/{field}"), *named))
        });
        pod.chain(containers).collect()
    }

    #[test]
    fn a_gap_is_refused_in_every_field_that_names_something() {
        for (field, _) in all_fields() {
            for gap in ["<no value>", "store-<no value>", "a b"] {
                let findings = check(&with(&field, gap));
                assert_eq!(findings.len(), 1, "{field} {gap}");
                assert_eq!(findings[0].at, format!("/spec/{}", field.replace('*', "0")));
                assert!(findings[0].message.contains("is no "), "{}", findings[0].message);
            }
        }
    }

    #[test]
    fn a_name_and_an_empty_text_are_accepted_in_every_field() {
        for (field, named) in all_fields() {
            let name = if named == Image { "registry.example.org/a/b:1" } else { "a-1.b" };
            for text in [name, ""] {
                assert_eq!(check(&with(&field, text)), [], "{field} {text:?}");
            }
        }
    }

    #[test]
    fn text_that_names_nothing_may_have_gaps() {
        let spec = json!({"containers": [{"name": "c", "image": "i", "args": ["<no value>"], "workingDir": "<no value>",
            "env": [{"name": "A", "value": "<no value>"}]}]});
        assert_eq!(check(&json!({"spec": spec})), []);
    }

    #[test]
    fn a_template_of_another_shape_is_no_concern_of_this_check() {
        for template in [json!(null), json!({"spec": "text"}), json!({"spec": {"volumes": {"a": 1}}})] {
            assert_eq!(check(&template), []);
        }
    }

    #[test]
    fn images_are_what_container_runtimes_parse() {
        let digest = "sha256:".to_owned() + &"0a".repeat(32);
        for good in [
            "busybox",
            "busybox:1.36",
            "library/busybox",
            "localhost/backstay-tools:1",
            "localhost:5000/a",
            "Registry.example.org:443/a_b/c__d/e--f.g:V1_x-y.z",
            "[2001:db8::1]:5000/a",
            "[::1]/a",
            &format!("a/b@{digest}"),
            &format!("registry:5000/a:1@{digest}"),
        ] {
            assert!(is_image(good), "{good}");
        }
        for bad in [
            "NOT an image",
            "localhost/backstay-tools:",
            "localhost/backstay-tools:<no value>",
            "a/:1",
            "/a",
            "a//b",
            "Busybox",
            "a/B",
            "a_-b",
            "a:-1",
            "a@sha256:1",
            "a@",
            "regis try/a",
            "registry:port/a",
            "a:1:2/b",
        ] {
            assert!(!is_image(bad), "{bad}");
        }
    }

    #[test]
    fn names_of_objects_are_dns_subdomains() {
        for good in ["a", "a-b.c-1", "0", &"a".repeat(253)] {
            assert!(is_subdomain(good), "{good}");
        }
        for bad in ["A", "-a", "a-", "a..b", "a_b", ".a", &"a".repeat(254)] {
            assert!(!is_subdomain(bad), "{bad}");
        }
    }

    #[test]
    fn the_message_says_what_is_no_name_and_what_to_do() {
        let gap = &check(&with("volumes/*/secret/secretName", "cache-<no value>"))[0].message;
        assert!(gap.starts_with(
            "\"cache-<no value>\" is no name of a Secret; what the template asks for is missing"
        ));
        let bad = &check(&with("containers/*/image", "NOT an image"))[0].message;
        assert!(bad.contains("is no name of an image; correct it, such as"), "{bad}");
    }
}
