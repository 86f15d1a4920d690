//! Which fields of a pod the local node understands.

use serde_json::Value;

/// The reason of a pod that asks for what the local node does not have.
pub const UNSUPPORTED: &str = "LocalNodeUnsupported";

/// What may stand in a field.
enum Rule {
    /// Anything: it is done, or is one of the things that the module's documentation names as without effect.
    Any,
    /// One of these values, as JSON.
    Only(&'static [&'static str]),
    /// An object with these fields.
    Object(Fields),
    /// Objects with the fields of these tables.
    Each(&'static [Fields]),
    /// Some of these texts.
    Some(&'static [&'static str]),
}

type Fields = &'static [(&'static str, Rule)];

use Rule::{Any, Each, Object, Only};

const NO: Rule = Only(&["false"]);

const POD: Fields = &[
    ("activeDeadlineSeconds", Any),
    ("affinity", Any),
    ("automountServiceAccountToken", Any),
    ("containers", Each(&[CONTAINER])),
    ("dnsPolicy", Only(&["\"ClusterFirst\"", "\"Default\""])),
    ("enableServiceLinks", Any),
    ("hostIPC", NO),
    ("hostNetwork", NO),
    ("hostPID", NO),
    ("hostUsers", Any),
    ("hostname", Any),
    ("imagePullSecrets", Any),
    ("initContainers", Each(&[CONTAINER, INIT_CONTAINER])),
    ("nodeName", Any),
    ("nodeSelector", Any),
    ("os", Only(&["{\"name\":\"linux\"}"])),
    ("overhead", Any),
    ("preemptionPolicy", Any),
    ("priority", Any),
    ("priorityClassName", Any),
    ("resources", Any),
    ("restartPolicy", Any),
    ("schedulerName", Any),
    ("securityContext", Object(POD_SECURITY)),
    ("serviceAccount", Any),
    ("serviceAccountName", Any),
    ("setHostnameAsFQDN", NO),
    ("shareProcessNamespace", NO),
    ("subdomain", Any),
    ("terminationGracePeriodSeconds", Any),
    ("tolerations", Any),
    ("topologySpreadConstraints", Any),
    ("volumes", Each(&[VOLUME])),
];

const POD_SECURITY: Fields = &[
    ("appArmorProfile", Any),
    ("fsGroup", Any),
    ("fsGroupChangePolicy", Any),
    ("runAsGroup", Any),
    ("runAsNonRoot", Any),
    ("runAsUser", Any),
    ("seccompProfile", Any),
    ("supplementalGroups", Any),
    ("supplementalGroupsPolicy", Any),
];

const CONTAINER: Fields = &[
    ("args", Any),
    ("command", Any),
    ("env", Each(&[VARIABLE])),
    ("envFrom", Any),
    ("image", Any),
    ("imagePullPolicy", Any),
    ("livenessProbe", Object(PROBE)),
    ("name", Any),
    ("readinessProbe", Object(PROBE)),
    ("resources", Any),
    ("securityContext", Object(SECURITY)),
    ("startupProbe", Object(PROBE)),
    ("stdin", NO),
    ("stdinOnce", NO),
    ("terminationMessagePath", Any),
    ("terminationMessagePolicy", Any),
    ("tty", NO),
    ("volumeMounts", Each(&[MOUNT])),
    ("workingDir", Any),
];

const PROBE: Fields = &[
    ("exec", Any),
    ("failureThreshold", Any),
    ("initialDelaySeconds", Any),
    ("periodSeconds", Any),
    ("successThreshold", Any),
    ("terminationGracePeriodSeconds", Any),
    ("timeoutSeconds", Any),
];

const INIT_CONTAINER: Fields = &[("restartPolicy", Only(&["\"Always\""]))];

const VARIABLE: Fields = &[("name", Any), ("value", Any), ("valueFrom", Object(SOURCE))];

const SOURCE: Fields =
    &[("configMapKeyRef", Any), ("fieldRef", Any), ("resourceFieldRef", Any), ("secretKeyRef", Any)];

/// The capabilities that a container runtime grants unasked; a container here has them in its own namespaces.
const USUAL: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SECURITY: Fields = &[
    ("allowPrivilegeEscalation", Any),
    ("appArmorProfile", Any),
    ("capabilities", Object(&[("add", Rule::Some(USUAL)), ("drop", Any)])),
    ("privileged", NO),
    ("procMount", Only(&["\"Default\""])),
    ("readOnlyRootFilesystem", Any),
    ("runAsGroup", Any),
    ("runAsNonRoot", Any),
    ("runAsUser", Any),
    ("seccompProfile", Any),
];

const MOUNT: Fields = &[
    ("mountPath", Any),
    ("mountPropagation", Only(&["\"None\""])),
    ("name", Any),
    ("readOnly", Any),
    ("recursiveReadOnly", Only(&["\"Disabled\""])),
    ("subPath", Any),
    ("subPathExpr", Any),
];

const VOLUME: Fields = &[
    ("configMap", Any),
    ("downwardAPI", Any),
    ("emptyDir", Any),
    ("name", Any),
    ("persistentVolumeClaim", Any),
    ("projected", Object(&[("defaultMode", Any), ("sources", Each(&[PROJECTION]))])),
    ("secret", Any),
];

const PROJECTION: Fields =
    &[("configMap", Any), ("downwardAPI", Any), ("secret", Any), ("serviceAccountToken", Any)];

/// Returns the fields of a pod that the local node does not have, each with its value; null, empty lists and empty objects do
/// not count.
#[must_use]
pub(super) fn unsupported(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(spec) = pod.get("spec") {
        fields(spec, &[POD], "spec", &mut found);
    }
    found
}

fn fields(value: &Value, known: &[Fields], path: &str, found: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        let rule = known.iter().copied().flatten().find(|(known, _)| known == name).map(|(_, rule)| rule);
        if !empty {
            field(value, rule, &format!("{path}.{name}"), found);
        }
    }
}

fn field(value: &Value, rule: Option<&Rule>, path: &str, found: &mut Vec<String>) {
    match rule {
        Some(Any) => {}
        Some(Only(values)) if values.contains(&value.to_string().as_str()) => {}
        Some(Object(known)) => fields(value, &[known], path, found),
        Some(Each(known)) => {
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                fields(item, known, &format!("{path}[{index}]"), found);
            }
        }
        Some(Rule::Some(known)) => {
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                if item.as_str().is_none_or(|item| !known.contains(&item)) {
                    found.push(format!("{path}[{index}]: {item}"));
                }
            }
        }
        Some(Only(_)) | None if value.is_object() || value.is_array() => found.push(path.to_owned()),
        Some(Only(_)) | None => found.push(format!("{path}: {value}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_usual_pod_has_nothing_that_is_not_supported() {
        let pod = json!({"spec": {"restartPolicy": "Never", "hostNetwork": false, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "containers": [{"name": "main", "image": "i", "ports": [],
            "securityContext": {"capabilities": {"drop": ["ALL"]}, "privileged": false}}],
            "initContainers": [{"name": "side", "restartPolicy": "Always"}],
            "volumes": [{"name": "a", "emptyDir": {}}]}});
        assert_eq!(unsupported(&pod), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_supported_is_named_by_its_path() {
        let pod = json!({"spec": {"hostNetwork": true, "novel": {"a": 1}, "containers": [
            {"name": "main", "ports": [{"containerPort": 80}], "livenessProbe": {"tcpSocket": {"port": 1}}, "restartPolicy": "Never",
             "securityContext": {"privileged": true, "capabilities": {"add": ["CHOWN", "SYS_ADMIN"]}}, "volumeDevices": [{"name": "d"}]}],
            "volumes": [{"name": "h", "hostPath": {"path": "/"}}, {"name": "p", "projected": {"sources": [
                {"clusterTrustBundle": {"path": "x"}}]}}]}});
        let mut found = unsupported(&pod);
        found.sort();
        assert_eq!(
            found,
            [
                "spec.containers[0].livenessProbe.tcpSocket",
                "spec.containers[0].ports",
                "spec.containers[0].restartPolicy: \"Never\"",
                "spec.containers[0].securityContext.capabilities.add[1]: \"SYS_ADMIN\"",
                "spec.containers[0].securityContext.privileged: true",
                "spec.containers[0].volumeDevices",
                "spec.hostNetwork: true",
                "spec.novel",
                "spec.volumes[0].hostPath",
                "spec.volumes[1].projected.sources[0].clusterTrustBundle",
            ]
        );
    }
}
