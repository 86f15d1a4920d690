//! What a pod amounts to on the local node: its containers, with their mounts, variables and commands.

use std::collections::BTreeMap;

use serde_json::Value;

use super::environment::{Objects, expand, variables};
use super::hidden::impossible;
use super::image::{Images, Root};
use crate::client::{items, number, text};

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It ends before the next one begins.
    Init,
    /// It begins before the next one, and runs until the others have ended.
    Sidecar,
    /// It does the pod's work.
    Main,
}

/// When a container is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// However it ended.
    Always,
    /// If it failed.
    OnFailure,
    /// Never.
    Never,
}

/// A container of a pod, and what never changes about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) role: Role,
    /// When it is started again.
    pub(crate) restart: Restart,
    /// It, as the pod has it.
    pub(crate) spec: Value,
}

/// Returns the containers of a pod, the init containers first.
#[must_use]
pub(crate) fn members(pod: &Value) -> Vec<Member> {
    let policy = match text(pod, "/spec/restartPolicy") {
        "Never" => Restart::Never,
        "OnFailure" => Restart::OnFailure,
        _ => Restart::Always,
    };
    let member = |spec: &Value, role, restart| Member {
        name: text(spec, "/name").to_owned(),
        role,
        restart,
        spec: spec.clone(),
    };
    let init = items(pod, "/spec/initContainers").iter().map(|spec| match text(spec, "/restartPolicy") {
        "Always" => member(spec, Role::Sidecar, Restart::Always),
        _ if policy == Restart::Never => member(spec, Role::Init, Restart::Never),
        _ => member(spec, Role::Init, Restart::OnFailure),
    });
    let main = items(pod, "/spec/containers").iter().map(|spec| member(spec, Role::Main, policy));
    init.chain(main).collect()
}

/// A folder or file of a volume in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The volume.
    pub(crate) volume: String,
    /// What of it; the whole if empty.
    pub(crate) sub_path: String,
    /// Where.
    pub(crate) path: String,
    /// Whether nothing may be written.
    pub(crate) read_only: bool,
}

/// How a container is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What it sees as `/`.
    pub(crate) root: Root,
    /// Whether nothing may be written there.
    pub(crate) read_only: bool,
    /// The command with its arguments.
    pub(crate) command: Vec<String>,
    /// All variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// The working folder.
    pub(crate) directory: String,
    /// The name of the machine that it sees.
    pub(crate) hostname: String,
    /// The user that it sees itself as.
    pub(crate) user: u32,
    /// The group that it sees itself as.
    pub(crate) group: u32,
    /// Whether a program may gain rights by what it executes.
    pub(crate) escalation: bool,
    /// What it sees of volumes.
    pub(crate) mounts: Vec<Mount>,
    /// The file for its last words.
    pub(crate) message: String,
}

/// Why a container does not start, as the kubelet's waiting state says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hindered {
    /// The reason.
    pub(crate) reason: &'static str,
    /// The text.
    pub(crate) message: String,
}

/// Returns how a container is started.
///
/// # Errors
/// Its image is unknown, something that it refers to is not there, or it asks not to be root and is.
pub(crate) fn plan(
    pod: &Value,
    container: &Value,
    images: &Images,
    objects: &Objects,
) -> Result<Plan, Hindered> {
    let name = text(container, "/image");
    let image = images.find(name).ok_or_else(|| Hindered {
        reason: "ErrImagePull",
        message: format!(
            "failed to pull and unpack image \"{name}\": the local node has no image of this name"
        ),
    })?;
    let hindered = |message: String| Hindered { reason: "CreateContainerConfigError", message };
    let own = variables(pod, container, objects).map_err(hindered)?;
    let security = |field: &str| {
        let at = format!("/securityContext/{field}");
        container.pointer(&at).or_else(|| pod.pointer(&format!("/spec{at}"))).filter(|value| !value.is_null())
    };
    let id = |field: &str| security(field).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    let user = id("runAsUser").unwrap_or(image.user);
    if user == 0 && security("runAsNonRoot") == Some(&Value::Bool(true)) {
        let why = match id("runAsUser") {
            Some(_) => "container's runAsUser breaks non-root policy",
            None => "container has runAsNonRoot and image will run as root",
        };
        return Err(hindered(format!(
            "{why} (pod: \"{}\", container: {})",
            title(pod),
            text(container, "/name")
        )));
    }
    let command = command(container, &image.entrypoint, &image.command, &own);
    if command.is_empty() {
        let message =
            format!("container {} has no command, and its image has none", text(container, "/name"));
        return Err(Hindered { reason: "CreateContainerError", message });
    }
    let hostname = hostname(pod);
    let mut environment: BTreeMap<String, String> = image.environment.iter().cloned().collect();
    environment.insert("HOSTNAME".to_owned(), hostname.clone());
    environment.entry("HOME".to_owned()).or_insert_with(|| if user == 0 { "/root" } else { "/" }.to_owned());
    let mounts = mounts(container, &own);
    environment.extend(own);
    if let Some(variable) = impossible(&image.root, &environment) {
        let message = format!(
            "the local node cannot set the variable {variable}: /bin/sh of the image has to, and it is not there or drops \
             other variables for the dots and dashes in their names"
        );
        return Err(Hindered { reason: "CreateContainerError", message });
    }
    Ok(Plan {
        root: image.root.clone(),
        read_only: container.pointer("/securityContext/readOnlyRootFilesystem") == Some(&Value::Bool(true)),
        command,
        environment,
        directory: directory(container, &image.directory),
        hostname,
        user,
        group: id("runAsGroup").unwrap_or(0),
        escalation: container.pointer("/securityContext/allowPrivilegeEscalation")
            != Some(&Value::Bool(false)),
        mounts,
        message: match text(container, "/terminationMessagePath") {
            "" => "/dev/termination-log".to_owned(),
            path => absolute(path),
        },
    })
}

/// Names a pod as the kubelet's texts do.
#[must_use]
pub(crate) fn title(pod: &Value) -> String {
    let [name, namespace, uid] =
        ["name", "namespace", "uid"].map(|of| text(&pod["metadata"], &format!("/{of}")));
    format!("{name}_{namespace}({uid})")
}

fn hostname(pod: &Value) -> String {
    let own = text(pod, "/spec/hostname");
    let name = if own.is_empty() { text(pod, "/metadata/name") } else { own };
    name.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

fn directory(container: &Value, usual: &str) -> String {
    let own = text(container, "/workingDir");
    let directory = if own.is_empty() { usual } else { own };
    if directory.is_empty() { "/".to_owned() } else { directory.to_owned() }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn command(
    container: &Value,
    entrypoint: &[String],
    usual: &[String],
    variables: &BTreeMap<String, String>,
) -> Vec<String> {
    let words = |at: &str| -> Vec<String> {
        let words = items(container, at).iter().filter_map(Value::as_str);
        words.map(|word| expand(word, variables)).collect()
    };
    let (own, arguments) = (words("/command"), words("/args"));
    let arguments = if arguments.is_empty() && own.is_empty() { usual.to_vec() } else { arguments };
    let own = if own.is_empty() { entrypoint.to_vec() } else { own };
    own.into_iter().chain(arguments).collect()
}

fn mounts(container: &Value, variables: &BTreeMap<String, String>) -> Vec<Mount> {
    let mount = |mount: &Value| Mount {
        volume: text(mount, "/name").to_owned(),
        sub_path: match text(mount, "/subPathExpr") {
            "" => text(mount, "/subPath").to_owned(),
            path => expand(path, variables),
        },
        path: absolute(text(mount, "/mountPath")),
        read_only: mount["readOnly"].as_bool().unwrap_or_default(),
    };
    items(container, "/volumeMounts").iter().map(mount).collect()
}

/// Returns the objects of its namespace that a pod refers to: resource and name. `tokens` stands for a token of the pod's
/// ServiceAccount, and the name for its audience.
#[must_use]
pub(crate) fn referred(pod: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    walk(&pod["spec"], &mut all);
    all.sort();
    all.dedup();
    all
}

fn walk(value: &Value, all: &mut Vec<(String, String)>) {
    for (field, value) in value.as_object().into_iter().flatten() {
        let (resource, name) = match field.as_str() {
            "secret" if value.get("secretName").is_some() => ("secrets", "/secretName"),
            "secretKeyRef" | "secretRef" | "secret" => ("secrets", "/name"),
            "configMapKeyRef" | "configMapRef" | "configMap" => ("configmaps", "/name"),
            "persistentVolumeClaim" => ("persistentvolumeclaims", "/claimName"),
            "serviceAccountToken" => ("tokens", "/audience"),
            _ => {
                walk(value, all);
                continue;
            }
        };
        all.push((resource.to_owned(), text(value, name).to_owned()));
    }
    for item in value.as_array().into_iter().flatten() {
        walk(item, all);
    }
}

/// Returns how long the containers of a pod may take to end once they are told to.
#[must_use]
pub(crate) fn grace(pod: &Value) -> u64 {
    let own = number(pod, "/metadata/deletionGracePeriodSeconds");
    let seconds = own.or_else(|| number(pod, "/spec/terminationGracePeriodSeconds")).unwrap_or(30);
    u64::try_from(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::local::Image;

    fn pod(container: Value) -> Value {
        json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"restartPolicy": "Never",
            "securityContext": {"runAsUser": 1000}, "containers": [container]}})
    }

    fn planned(container: Value) -> Result<Plan, Hindered> {
        let mut image = Image::of(Root::Host);
        image.entrypoint = vec!["/start".to_owned()];
        image.command = vec!["now".to_owned()];
        let images = Images::new().with("known:*", image);
        let pod = pod(container);
        plan(&pod, &pod["spec"]["containers"][0], &images, &Objects::new())
    }

    #[test]
    fn the_command_is_the_images_unless_the_container_has_one() {
        let command = |own: Value| {
            let mut container =
                json!({"name": "main", "image": "known:1", "env": [{"name": "A", "value": "x"}]});
            container.as_object_mut().expect("an object").extend(own.as_object().expect("an object").clone());
            planned(container).expect("a plan").command
        };
        assert_eq!(command(json!({})), ["/start", "now"]);
        assert_eq!(command(json!({"args": ["$(A)"]})), ["/start", "x"]);
        assert_eq!(command(json!({"command": ["sh", "$(B)"]})), ["sh", "$(B)"]);
    }

    #[test]
    fn a_plan_has_what_the_container_says() {
        let plan = planned(json!({"name": "main", "image": "known:1", "workingDir": "/data",
            "terminationMessagePath": "out/last", "env": [{"name": "PART", "value": "a"}],
            "securityContext": {"runAsUser": 7, "runAsGroup": 8, "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false},
            "volumeMounts": [{"name": "v", "mountPath": "/data", "subPathExpr": "x/$(PART)", "readOnly": true}]}))
        .expect("a plan");
        assert_eq!((plan.user, plan.group, plan.read_only, plan.escalation), (7, 8, true, false));
        assert_eq!((plan.directory.as_str(), plan.message.as_str()), ("/data", "/out/last"));
        assert_eq!(plan.environment.get("HOME").map(String::as_str), Some("/"));
        let mount = Mount {
            volume: "v".to_owned(),
            sub_path: "x/a".to_owned(),
            path: "/data".to_owned(),
            read_only: true,
        };
        assert_eq!(plan.mounts, [mount]);
    }

    #[test]
    fn what_hinders_a_container_is_said_as_the_kubelet_says_it() {
        let unknown = planned(json!({"name": "main", "image": "other"})).expect_err("no such image");
        assert_eq!(unknown.reason, "ErrImagePull");
        let root = json!({"name": "main", "image": "known:1", "securityContext": {"runAsNonRoot": true, "runAsUser": 0}});
        assert_eq!(
            planned(root).expect_err("root"),
            Hindered {
                reason: "CreateContainerConfigError",
                message: "container's runAsUser breaks non-root policy (pod: \"p_ns(u)\", container: main)"
                    .to_owned()
            }
        );
    }

    #[test]
    fn the_objects_that_a_pod_refers_to_are_found_wherever_they_are_named() {
        let pod = json!({"spec": {"containers": [{"envFrom": [{"secretRef": {"name": "a"}}],
            "env": [{"valueFrom": {"configMapKeyRef": {"name": "b"}}}]}],
            "volumes": [{"secret": {"secretName": "c"}}, {"persistentVolumeClaim": {"claimName": "d"}},
                {"projected": {"sources": [{"secret": {"name": "e"}}, {"configMap": {"name": "b"}},
                    {"serviceAccountToken": {"path": "token"}}]}}]}});
        let pairs = [
            ("configmaps", "b"),
            ("persistentvolumeclaims", "d"),
            ("secrets", "a"),
            ("secrets", "c"),
            ("secrets", "e"),
            ("tokens", ""),
        ];
        assert_eq!(referred(&pod), pairs.map(|(r, n)| (r.to_owned(), n.to_owned())));
    }

    #[test]
    fn an_init_container_that_always_restarts_is_a_sidecar() {
        let pod = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}],
            "initContainers": [{"name": "a"}, {"name": "b", "restartPolicy": "Always"}]}});
        let roles: Vec<_> =
            members(&pod).into_iter().map(|member| (member.name, member.role, member.restart)).collect();
        assert_eq!(
            roles,
            [
                ("a".to_owned(), Role::Init, Restart::Never),
                ("b".to_owned(), Role::Sidecar, Restart::Always),
                ("c".to_owned(), Role::Main, Restart::Never),
            ]
        );
    }
}
