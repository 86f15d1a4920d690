//! Where the files of pods are, under the node's state folder.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

use super::logs::{self, Wanted};
use super::plan::{Mount, Plan};
use super::setup::Bind;
use super::volumes::Volume;
use crate::api::{LogOptions, Logs};
use crate::client::{items, number, text};
use crate::status::Status;

/// The most bytes of last words that are read from a container's file, and from its log.
const WORDS: u64 = 4096;
const WORDS_OF_LOG: usize = 2048;

/// The files of a node's pods: volumes, last words, logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    state: PathBuf,
}

/// The files of one start of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// What it says.
    pub(super) log: PathBuf,
    /// Its last words.
    pub(super) message: PathBuf,
    /// Where its view is made.
    pub(super) base: PathBuf,
}

impl Files {
    /// Keeps them under this folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(state: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(state)?;
        Ok(Self { state: state.canonicalize()? })
    }

    /// Returns the folder of a pod.
    pub(super) fn pod(&self, pod: &Value) -> PathBuf {
        self.state.join("pods").join(text(pod, "/metadata/uid"))
    }

    /// Returns the folder of a claim, whether it is there or not.
    pub(super) fn claim(&self, uid: &str) -> PathBuf {
        self.state.join("claims").join(uid)
    }

    /// Returns the files of a container's start; the first one is 0.
    pub(super) fn start(&self, pod: &Value, container: &str, number: u32) -> Start {
        let folder = self.pod(pod).join("containers").join(container);
        let of = |what: &str| folder.join(format!("{number}.{what}"));
        Start { log: of("log"), message: of("message"), base: of("view") }
    }

    fn volume(&self, pod: &Value, name: &str, volume: &Volume) -> PathBuf {
        match volume {
            Volume::Claim { uid, .. } => self.claim(uid),
            _ => self.pod(pod).join("volumes").join(name),
        }
    }

    /// Makes a volume of a pod.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn make(&self, pod: &Value, name: &str, volume: &Volume) -> std::io::Result<()> {
        let folder = self.volume(pod, name, volume);
        fs::create_dir_all(&folder)?;
        match volume {
            Volume::Files(files) => {
                // As an earlier start made it, it cannot be written.
                fs::remove_dir_all(&folder)?;
                fs::create_dir_all(&folder)?;
                for (path, file) in files {
                    let path = folder.join(path);
                    fs::create_dir_all(path.parent().unwrap_or(&folder))?;
                    fs::write(&path, &file.bytes)?;
                    fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
                }
                Ok(())
            }
            _ => fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)),
        }
    }

    /// Returns what a container sees of its pod's volumes, and the file of its last words.
    ///
    /// # Errors
    /// A part of a volume is not there, or is not in the volume; the text is for the container's status.
    pub(super) fn binds(
        &self,
        pod: &Value,
        plan: &Plan,
        volumes: &std::collections::BTreeMap<String, Volume>,
        start: &Start,
    ) -> Result<Vec<Bind>, String> {
        let mut binds = Vec::new();
        for mount in &plan.mounts {
            let volume = volumes.get(&mount.volume).ok_or_else(|| format!("no volume {}", mount.volume))?;
            let folder = self.volume(pod, &mount.volume, volume);
            let shut = matches!(volume, Volume::Files(_) | Volume::Claim { read_only: true, .. });
            let read_only = mount.read_only || shut;
            binds.push(Bind { source: part(&folder, mount, !shut)?, path: mount.path.clone(), read_only });
        }
        binds.sort_by(|a, b| a.path.cmp(&b.path));
        let message = Bind { source: start.message.clone(), path: plan.message.clone(), read_only: false };
        binds.push(message);
        Ok(binds)
    }

    /// Returns the last words of a container: what it wrote to its file, or the end of its log if it failed and asks for that.
    pub(super) fn words(&self, container: &Value, start: &Start, code: i32) -> String {
        let words = tail(&start.message, WORDS).unwrap_or_default();
        let from_log = text(container, "/terminationMessagePolicy") == "FallbackToLogsOnError";
        if !words.is_empty() || code == 0 || !from_log {
            return String::from_utf8_lossy(&words).into_owned();
        }
        let wanted = Wanted { tail_lines: Some(80), ..Wanted::default() };
        let log = logs::read(&start.log, &wanted).unwrap_or_default();
        let end = log.len().saturating_sub(WORDS_OF_LOG);
        String::from_utf8_lossy(log.get(end..).unwrap_or_default()).into_owned()
    }

    /// Removes the volumes of a pod that is over.
    pub(super) fn forget_volumes(&self, pod: &Value) {
        drop(fs::remove_dir_all(self.pod(pod).join("volumes")));
    }

    /// Removes the folder of a claim that is gone.
    pub(super) fn forget_claim(&self, uid: &str) {
        if !uid.is_empty() {
            drop(fs::remove_dir_all(self.claim(uid)));
        }
    }

    /// Removes the views of a pod's containers: none runs.
    pub(super) fn forget_views(&self, pod: &Value) {
        let entries =
            |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        for container in entries(&self.pod(pod).join("containers")) {
            for view in entries(&container).filter(|path| path.extension().is_some_and(|of| of == "view")) {
                drop(fs::remove_dir_all(view));
            }
        }
    }

    /// Removes the folders of all pods (`pods`) or claims (`claims`) but those with these uids.
    pub(super) fn forget_others(&self, of: &str, uids: &BTreeSet<String>) {
        for entry in fs::read_dir(self.state.join(of)).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(|uid| uids.contains(uid)) {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }

    /// Removes everything of a pod.
    pub(super) fn forget(&self, pod: &Value) {
        drop(fs::remove_dir_all(self.pod(pod)));
    }

    /// Returns the start of a container whose log is asked for: the last one, or the one before it.
    ///
    /// # Errors
    /// There is none, in the kubelet's words.
    fn started(&self, pod: &Value, container: &str, previous: bool) -> Result<Start, Status> {
        let statuses = ["containerStatuses", "initContainerStatuses"];
        let mut all = statuses.iter().flat_map(|of| items(pod, &format!("/status/{of}")));
        let status = all.find(|status| text(status, "/name") == container).unwrap_or(&Value::Null);
        let restarts =
            number(status, "/restartCount").and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
        let is = |pointer: &str| status.pointer(pointer).is_some_and(|state| !state.is_null());
        let (waits, ended) = (is("/state/waiting"), is("/lastState/terminated"));
        let named = format!("container \"{container}\" in pod \"{}\"", text(pod, "/metadata/name"));
        let refused = |message: String| Status::new(400, "BadRequest", message);
        let number = match previous {
            // A container that waits for its next start: its last start is the previous one.
            true if waits && ended => restarts,
            true => {
                let missing = || refused(format!("previous terminated {named} not found"));
                restarts.checked_sub(1).ok_or_else(missing)?
            }
            false if is("/state/running") || ended => restarts,
            false if is("/state/terminated") => {
                if text(status, "/state/terminated/containerID").is_empty() {
                    return Err(refused(format!("{named} is terminated")));
                }
                restarts
            }
            false => {
                let why = match text(status, "/state/waiting/reason") {
                    "" => "ContainerCreating",
                    "ErrImagePull" => "image can't be pulled",
                    "ImagePullBackOff" => "trying and failing to pull image",
                    reason => reason,
                };
                return Err(refused(format!("{named} is waiting to start: {why}")));
            }
        };
        let start = self.start(pod, container, number);
        // A kubelet answers the same for a log that it has removed.
        let gone =
            || refused(format!("unable to retrieve container logs for {}", text(status, "/containerID")));
        if start.log.exists() { Ok(start) } else { Err(gone()) }
    }
}

impl Logs for Files {
    fn open(&self, pod: &Value, options: &LogOptions) -> Result<BoxStream<'static, Bytes>, Status> {
        let count = |count: Option<u64>| count.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let wanted = Wanted {
            tail_lines: count(options.tail_lines),
            limit_bytes: count(options.limit_bytes),
            ..Wanted::default()
        };
        let start = self.started(pod, &options.container, options.previous)?;
        let source = Source { start, wanted, follows: options.follow, reader: None };
        let next = |mut source: Source| async move { Some((Bytes::from(source.next().await?), source)) };
        Ok(futures::stream::unfold(source, next).boxed())
    }
}

/// A log that is asked for. It is opened when its first piece is, where nobody waits for it.
struct Source {
    start: Start,
    wanted: Wanted,
    follows: bool,
    reader: Option<logs::Reader>,
}

impl Source {
    async fn next(&mut self) -> Option<Vec<u8>> {
        if self.reader.is_none() {
            let (log, wanted, follows) = (self.start.log.clone(), self.wanted.clone(), self.follows);
            let opening = tokio::task::spawn_blocking(move || logs::Reader::open(&log, &wanted, follows));
            self.reader = opening.await.ok()?.ok();
        }
        let (reader, view) = (self.reader.as_mut()?, &self.start.base);
        // The view of a container is there for as long as it runs.
        if self.follows { reader.next(|| view.exists()).await } else { reader.piece() }
    }
}

/// Returns the part of a volume that is mounted.
fn part(folder: &Path, mount: &Mount, make: bool) -> Result<PathBuf, String> {
    if mount.sub_path.is_empty() {
        return Ok(folder.to_owned());
    }
    let failed = |why: &str| format!("failed to prepare subPath for volumeMount \"{}\": {why}", mount.volume);
    let outside = || failed("it is outside the volume");
    let mut path = folder.to_owned();
    // Each step is looked at before the next: a link that a container has made leads out of the volume otherwise.
    for step in Path::new(&mount.sub_path).components() {
        match step {
            Component::Normal(name) => path.push(name),
            Component::CurDir => continue,
            _ => return Err(outside()),
        }
        if make && fs::symlink_metadata(&path).is_err() {
            fs::create_dir(&path).map_err(|error| failed(&error.to_string()))?;
        }
        path = path.canonicalize().map_err(|error| failed(&error.to_string()))?;
        if !path.starts_with(folder) {
            return Err(outside());
        }
    }
    Ok(path)
}

/// Returns the last bytes of a file.
fn tail(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_volume_is_in_the_volume_and_nothing_is_made_outside() {
        let state = std::env::temp_dir().join(format!("devcluster-part-{}", std::process::id()));
        let (volume, other) = (state.join("volume"), state.join("other"));
        fs::create_dir_all(&volume).expect("a folder");
        fs::create_dir_all(&other).expect("a folder");
        let volume = volume.canonicalize().expect("it is there");
        std::os::unix::fs::symlink(&other, volume.join("out")).expect("a link");
        std::os::unix::fs::symlink("in/deep", volume.join("within")).expect("a link");
        let of = |sub_path: &str| {
            let mount = Mount {
                volume: "v".into(),
                sub_path: sub_path.into(),
                path: "/data".into(),
                read_only: false,
            };
            part(&volume, &mount, true)
        };
        assert_eq!(of("in/deep"), Ok(volume.join("in/deep")));
        assert_eq!(of("within/more"), Ok(volume.join("in/deep/more")));
        for outside in ["out/a/b", "../other/a", "in/../../other/a", "/etc"] {
            let refused = of(outside).expect_err(outside);
            assert!(refused.contains("outside the volume"), "{outside}: {refused}");
        }
        assert_eq!(fs::read_dir(&other).expect("it is there").count(), 0, "nothing was made outside");
        fs::remove_dir_all(&state).expect("it can be removed");
    }
}
