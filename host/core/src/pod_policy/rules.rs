//! The rules, as tables: the fields of a pod template, and the values that they may have.

use crate::contract::Json;

/// A control of the Pod Security Standards, or one of Backstay's own.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Name of the control.
    pub control: &'static str,
    /// The fields, by their path in a PodTemplateSpec. `containers` stands for all three lists of containers, `*` for every
    /// item of a list, and a key that ends in `*` for every key with that beginning.
    pub fields: &'static [&'static [&'static str]],
    /// The values that they may have. A field that is absent or null is always allowed.
    pub values: Values,
    /// What a person does about it.
    pub remedy: &'static str,
}

/// The values that a field may have.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// None.
    Nothing,
    /// The value `false`.
    False,
    /// The number 0.
    Zero,
    /// Any number but 0.
    NotZero,
    /// One of these texts; one that ends in `*` stands for every text with that beginning.
    Texts(&'static [&'static str]),
    /// Any text that does not begin with this.
    NotBeginningWith(&'static str),
}

impl Values {
    /// Returns whether a field may have this value.
    #[must_use]
    pub fn allow(self, value: &Json) -> bool {
        match (self, value) {
            (_, Json::Null) | (Self::False, Json::Bool(false)) => true,
            (Self::Zero, value) => value.as_i64() == Some(0),
            (Self::NotZero, value) => value.as_i64().is_some_and(|number| number != 0),
            (Self::Texts(texts), Json::String(text)) => texts.iter().any(|t| match t.strip_suffix('*') {
                Some(beginning) => text.starts_with(beginning),
                None => text == t,
            }),
            (Self::NotBeginningWith(beginning), Json::String(text)) => !text.starts_with(beginning),
            _ => false,
        }
    }

    /// Returns the allowed values in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::False => "`false`".to_owned(),
            Self::Zero => "`0`".to_owned(),
            Self::NotZero => "any number but `0`".to_owned(),
            Self::Texts(texts) => {
                let quoted =
                    |text: &&str| if text.is_empty() { "`\"\"`".to_owned() } else { format!("`{text}`") };
                texts.iter().map(quoted).collect::<Vec<_>>().join(", ")
            }
            Self::NotBeginningWith(beginning) => format!("any text that does not begin with `{beginning}`"),
        }
    }
}

impl Rule {
    /// Returns the fields in the notation of the standard, such as `spec.containers[*].ports[*].hostPort`.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.fields.iter().map(|path| {
            let mut name = String::new();
            for part in *path {
                match *part {
                    "*" => name.push_str("[*]"),
                    key if key.contains('/') => name.push_str(&format!("['{key}']")),
                    key => {
                        if !name.is_empty() {
                            name.push('.');
                        }
                        name.push_str(key);
                    }
                }
            }
            name
        })
    }

    /// Returns the text of a finding about this value.
    pub(super) fn message(&self, value: &Json) -> String {
        let shown = match value {
            Json::String(text) if !text.is_empty() && text.len() <= 64 => format!(" {text:?}"),
            _ => String::new(),
        };
        format!("{}{shown} is not allowed: {}", self.control, self.remedy)
    }
}

/// Declares the fields of a rule: `spec.securityContext.…`, once for the pod and once for each container where it says so.
macro_rules! pod_and_containers {
    ($($part:literal),+) => {
        &[&["spec", "securityContext", $($part),+], &["spec", "containers", "*", "securityContext", $($part),+]]
    };
}

/// The Pod Security Standard "baseline" of Kubernetes v1.34.
pub const BASELINE: [Rule; 14] = [
    Rule {
        control: "a host process",
        fields: pod_and_containers!("windowsOptions", "hostProcess"),
        values: Values::False,
        remedy: "remove it",
    },
    Rule {
        control: "a host namespace",
        fields: &[&["spec", "hostNetwork"], &["spec", "hostPID"], &["spec", "hostIPC"]],
        values: Values::False,
        remedy: "remove it",
    },
    Rule {
        control: "a privileged container",
        fields: &[&["spec", "containers", "*", "securityContext", "privileged"]],
        values: Values::False,
        remedy: "remove it",
    },
    Rule {
        control: "capability",
        fields: &[&["spec", "containers", "*", "securityContext", "capabilities", "add", "*"]],
        values: Values::Texts(&[
            "AUDIT_WRITE",
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "FSETID",
            "KILL",
            "MKNOD",
            "NET_BIND_SERVICE",
            "SETFCAP",
            "SETGID",
            "SETPCAP",
            "SETUID",
            "SYS_CHROOT",
        ]),
        remedy: "remove it, or use one of AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT",
    },
    Rule {
        control: "a hostPath volume",
        fields: &[&["spec", "volumes", "*", "hostPath"]],
        values: Values::Nothing,
        remedy: "use a persistentVolumeClaim or an emptyDir",
    },
    Rule {
        control: "a host port",
        fields: &[&["spec", "containers", "*", "ports", "*", "hostPort"]],
        values: Values::Zero,
        remedy: "remove it",
    },
    Rule {
        control: "the host of a probe or lifecycle hook",
        fields: &[
            &["spec", "containers", "*", "livenessProbe", "httpGet", "host"],
            &["spec", "containers", "*", "livenessProbe", "tcpSocket", "host"],
            &["spec", "containers", "*", "readinessProbe", "httpGet", "host"],
            &["spec", "containers", "*", "readinessProbe", "tcpSocket", "host"],
            &["spec", "containers", "*", "startupProbe", "httpGet", "host"],
            &["spec", "containers", "*", "startupProbe", "tcpSocket", "host"],
            &["spec", "containers", "*", "lifecycle", "postStart", "httpGet", "host"],
            &["spec", "containers", "*", "lifecycle", "postStart", "tcpSocket", "host"],
            &["spec", "containers", "*", "lifecycle", "preStop", "httpGet", "host"],
            &["spec", "containers", "*", "lifecycle", "preStop", "tcpSocket", "host"],
        ],
        values: Values::Texts(&[""]),
        remedy: "remove it: the kubelet would call that host from the node",
    },
    Rule {
        control: "AppArmor profile",
        fields: pod_and_containers!("appArmorProfile", "type"),
        values: Values::Texts(&["RuntimeDefault", "Localhost"]),
        remedy: "use RuntimeDefault or Localhost",
    },
    Rule {
        control: "AppArmor annotation",
        fields: &[&["metadata", "annotations", "container.apparmor.security.beta.kubernetes.io/*"]],
        values: Values::Texts(&["", "runtime/default", "localhost/*"]),
        remedy: "use runtime/default or localhost/*",
    },
    Rule {
        control: "SELinux type",
        fields: pod_and_containers!("seLinuxOptions", "type"),
        values: Values::Texts(&[
            "",
            "container_t",
            "container_init_t",
            "container_kvm_t",
            "container_engine_t",
        ]),
        remedy: "remove it, or use one of container_t, container_init_t, container_kvm_t, container_engine_t",
    },
    Rule {
        control: "SELinux user or role",
        fields: &[
            &["spec", "securityContext", "seLinuxOptions", "user"],
            &["spec", "containers", "*", "securityContext", "seLinuxOptions", "user"],
            &["spec", "securityContext", "seLinuxOptions", "role"],
            &["spec", "containers", "*", "securityContext", "seLinuxOptions", "role"],
        ],
        values: Values::Texts(&[""]),
        remedy: "remove it",
    },
    Rule {
        control: "procMount",
        fields: &[&["spec", "containers", "*", "securityContext", "procMount"]],
        values: Values::Texts(&["Default"]),
        remedy: "remove it: /proc stays masked",
    },
    Rule {
        control: "seccomp profile",
        fields: pod_and_containers!("seccompProfile", "type"),
        values: Values::Texts(&["RuntimeDefault", "Localhost"]),
        remedy: "use RuntimeDefault or Localhost",
    },
    Rule {
        control: "sysctl",
        fields: &[&["spec", "securityContext", "sysctls", "*", "name"]],
        values: Values::Texts(&[
            "kernel.shm_rmid_forced",
            "net.ipv4.ip_local_port_range",
            "net.ipv4.ip_unprivileged_port_start",
            "net.ipv4.tcp_syncookies",
            "net.ipv4.ping_group_range",
            "net.ipv4.ip_local_reserved_ports",
            "net.ipv4.tcp_keepalive_time",
            "net.ipv4.tcp_fin_timeout",
            "net.ipv4.tcp_keepalive_intvl",
            "net.ipv4.tcp_keepalive_probes",
            "net.ipv4.tcp_rmem",
            "net.ipv4.tcp_wmem",
        ]),
        remedy: "remove it",
    },
];

/// What Backstay refuses beyond the standard: a pod takes no place from others and chooses no node past the scheduler.
pub const BEYOND: [Rule; 2] = [
    Rule {
        control: "nodeName",
        fields: &[&["spec", "nodeName"]],
        values: Values::Texts(&[""]),
        remedy: "use a nodeSelector or an affinity, which the scheduler obeys",
    },
    Rule {
        control: "priorityClassName",
        fields: &[&["spec", "priorityClassName"]],
        values: Values::NotBeginningWith("system-"),
        remedy: "use a class that is not the system's",
    },
];

/// What the standard "restricted" refuses beyond "baseline". What it requires to be set is checked in code.
pub const RESTRICTED: [Rule; 4] = [
    Rule {
        control: "privilege escalation",
        fields: &[&["spec", "containers", "*", "securityContext", "allowPrivilegeEscalation"]],
        values: Values::False,
        remedy: "set allowPrivilegeEscalation: false",
    },
    Rule {
        control: "a volume of this source",
        fields: &[
            &["spec", "volumes", "*", "gcePersistentDisk"],
            &["spec", "volumes", "*", "awsElasticBlockStore"],
            &["spec", "volumes", "*", "gitRepo"],
            &["spec", "volumes", "*", "nfs"],
            &["spec", "volumes", "*", "iscsi"],
            &["spec", "volumes", "*", "glusterfs"],
            &["spec", "volumes", "*", "rbd"],
            &["spec", "volumes", "*", "flexVolume"],
            &["spec", "volumes", "*", "cinder"],
            &["spec", "volumes", "*", "cephfs"],
            &["spec", "volumes", "*", "flocker"],
            &["spec", "volumes", "*", "fc"],
            &["spec", "volumes", "*", "azureFile"],
            &["spec", "volumes", "*", "azureDisk"],
            &["spec", "volumes", "*", "vsphereVolume"],
            &["spec", "volumes", "*", "quobyte"],
            &["spec", "volumes", "*", "portworxVolume"],
            &["spec", "volumes", "*", "photonPersistentDisk"],
            &["spec", "volumes", "*", "scaleIO"],
            &["spec", "volumes", "*", "storageos"],
        ],
        values: Values::Nothing,
        remedy: "use a configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected or secret volume",
    },
    Rule {
        control: "user",
        fields: pod_and_containers!("runAsUser"),
        values: Values::NotZero,
        remedy: "use a user other than root",
    },
    Rule {
        control: "capability",
        fields: &[&["spec", "containers", "*", "securityContext", "capabilities", "add", "*"]],
        values: Values::Texts(&["NET_BIND_SERVICE"]),
        remedy: "remove it, or use NET_BIND_SERVICE",
    },
];
