//! Everybody else in the namespace: Helm, the operator of the databases, its plugin with the archive, the garbage
//! collector, and people. Each does one small thing at a time, whenever the walk lets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use backstay_testing::contract::{Json, ObjectRef};
use backstay_testing::{World, is_terminating, rfc3339, uid};
use serde_json::json;

use crate::chart::{self, BARMAN, CNPG, NAMESPACE, PLUGIN, cluster, object, release, text};

const HEALTHY: &str = "Cluster in healthy state";
/// The finalizer of volumes, which goes when the walk lets it: that of Kubernetes' own would go as soon as it may.
const PROTECTED: &str = "example.org/protected";
pub(crate) const SIGNATURE: &str = "recovery ended before configured recovery target was reached";

/// What is in the object store under one path and server name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive {
    /// Uid of the Cluster that writes to it.
    pub(crate) writer: String,
    /// When each base backup was complete, with the name of its Backup.
    pub(crate) bases: Vec<(i64, String)>,
    /// The last commit in it.
    pub(crate) last_commit: i64,
}

/// What a database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Data {
    /// Path and server name it was recovered from; none for a new, empty one.
    pub(crate) source: Option<(String, String)>,
    /// Everything up to then.
    pub(crate) until: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Helm {
    values: Json,
    manifests: BTreeMap<(String, String), Json>,
    /// When somebody insisted on an upgrade last.
    forced: Option<String>,
}

/// All that is no object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Site {
    pub(crate) archives: BTreeMap<(String, String), Archive>,
    /// When each Backup was complete.
    pub(crate) stops: BTreeMap<String, i64>,
    /// By uid of the Cluster, once it has been healthy.
    pub(crate) data: BTreeMap<String, Data>,
    pub(crate) helm: BTreeMap<String, Helm>,
    /// Volumes that never go.
    pub(crate) stuck_volumes: bool,
    /// Whether users of the databases commit.
    pub(crate) busy: bool,
    /// What others did, for the timeline.
    pub(crate) told: Vec<String>,
}

impl Site {
    fn tell(&mut self, what: impl Into<String>) {
        self.told.push(what.into());
    }

    /// Lets the people who nobody disturbs do all they have to, until nothing moves.
    pub(crate) fn settle(&mut self, world: &mut World, apps: &[&str]) {
        for _ in 0..40 {
            let before = world.revision();
            for app in apps {
                self.helm(world, app);
                self.operator(world, app);
                self.backups(world, app);
            }
            self.volumes(world);
            world.collect_garbage();
            world.advance(5);
            if world.revision() == before {
                return;
            }
        }
    }

    /// The Helm controller looks at a release.
    pub(crate) fn helm(&mut self, world: &mut World, app: &str) {
        let reference = release(app);
        let Some(release) = world.get(&reference) else { return };
        if release["spec"]["suspend"] == true || is_terminating(&release) {
            return;
        }
        let values = chart::with_defaults(&release["spec"]["values"]);
        let annotation = |name: &str| release["metadata"]["annotations"][name].as_str().map(str::to_owned);
        let forced = annotation("reconcile.fluxcd.io/forceAt")
            .filter(|at| annotation("reconcile.fluxcd.io/requestedAt").as_ref() == Some(at));
        let last = self.helm.entry(app.into()).or_default();
        let told_to = forced.is_some() && forced != last.forced;
        last.forced = forced.or(last.forced.take());
        // What has been deleted since is not missed: only other values, or somebody who insists, make an upgrade.
        if last.values == values && !told_to {
            return say_ready(world, &reference, Ok(()));
        }
        let rendered = chart::render(app, &values);
        let outcome = rendered.and_then(|manifests| self.upgrade(world, app, &values, &manifests));
        if let Err(e) = &outcome {
            self.tell(format!("helm fails: {e}"));
        }
        say_ready(world, &reference, outcome);
    }

    fn upgrade(
        &mut self,
        world: &mut World,
        app: &str,
        values: &Json,
        manifests: &[Json],
    ) -> Result<(), String> {
        let last = self.helm.remove(app).unwrap_or_default();
        let mut applied = BTreeMap::new();
        let mut outcome = Ok(());
        for manifest in manifests {
            let reference = object(
                text(manifest, "/apiVersion"),
                text(manifest, "/kind"),
                text(manifest, "/metadata/name"),
            );
            let key = (reference.kind.clone(), reference.name.clone());
            let before = last.manifests.get(&key);
            if let Err(e) = self.upgrade_one(world, &reference, manifest, before) {
                outcome = outcome.and(Err(e));
                continue;
            }
            applied.insert(key, manifest.clone());
        }
        if outcome.is_err() {
            // The next try comes, and compares with what was there before this one.
            self.helm.insert(app.into(), Helm { values: Json::Null, ..last });
            return outcome;
        }
        for (kind, name) in last.manifests.keys().filter(|k| !applied.contains_key(*k)) {
            let api_version = if kind == "Cluster" { CNPG } else { BARMAN };
            world.remove(&object(api_version, kind, name));
        }
        self.helm
            .insert(app.into(), Helm { values: values.clone(), manifests: applied, forced: last.forced });
        Ok(())
    }

    /// A three-way merge: what the chart no longer sets goes, what it never set stays.
    fn upgrade_one(
        &mut self,
        world: &mut World,
        reference: &ObjectRef,
        manifest: &Json,
        before: Option<&Json>,
    ) -> Result<(), String> {
        let Some(current) = world.get(reference) else {
            self.tell(format!("helm creates {} {}", reference.kind, reference.name));
            world.put(manifest.clone());
            return Ok(());
        };
        if is_terminating(&current) {
            return Err(format!("{} {} is being deleted", reference.kind, reference.name));
        }
        if reference.kind == "Cluster" && current["spec"]["bootstrap"] != manifest["spec"]["bootstrap"] {
            return Err("the bootstrap method of a living Cluster cannot be changed".into());
        }
        let mut next = Json::clone(&current);
        if let Some(fields) = manifest["spec"].as_object() {
            for (name, value) in fields {
                next["spec"][name.as_str()] = value.clone();
            }
        }
        let gone = before.and_then(|b| b["spec"].as_object()).into_iter().flat_map(|b| b.keys());
        for name in gone.filter(|name| manifest["spec"].get(name.as_str()).is_none()) {
            if let Some(spec) = next["spec"].as_object_mut() {
                spec.remove(name);
            }
        }
        if next != *current {
            self.tell(format!("helm changes {} {}", reference.kind, reference.name));
            world.put(next);
        }
        Ok(())
    }

    /// The operator does the next thing for a Cluster.
    pub(crate) fn operator(&mut self, world: &mut World, app: &str) {
        let reference = cluster(app);
        let Some(found) = world.get(&reference).filter(|c| !is_terminating(c)) else { return };
        let name = reference.name.clone();
        let instance = object("v1", "Pod", &format!("{name}-1"));
        match text(&found, "/status/phase") {
            "" => {
                let volume = object("v1", "PersistentVolumeClaim", &format!("{name}-1"));
                if world.get(&volume).is_some() {
                    return;
                }
                world.put(dependent(&found, &volume, json!({"finalizers": [PROTECTED]}), json!({})));
                self.phase(world, &reference, "Setting up primary");
            }
            "Setting up primary" => self.set_up(world, &reference, &found),
            HEALTHY => {
                let wanted = has_plugin(&found);
                match world.get(&instance).as_deref().map(has_sidecar) {
                    Some(has) if has == wanted => self.archive(world, &found),
                    Some(_) => {
                        world.remove(&instance);
                        self.phase(world, &reference, "Upgrading cluster");
                    }
                    None => self.phase(world, &reference, "Upgrading cluster"),
                }
            }
            _ => {
                if world.get(&instance).is_none() {
                    start_instance(world, &found, &instance);
                } else {
                    self.phase(world, &reference, HEALTHY);
                }
            }
        }
    }

    fn phase(&mut self, world: &mut World, reference: &ObjectRef, phase: &str) {
        self.tell(format!("{} {}: {phase}", reference.kind, reference.name));
        world.edit(reference, |c| {
            c["status"]["phase"] = json!(phase);
            c["status"]["pgDataImageInfo"] = json!({"majorVersion": 15});
        });
    }

    fn set_up(&mut self, world: &mut World, reference: &ObjectRef, found: &Json) {
        let own = uid(found).unwrap_or_default().to_owned();
        let instance = object("v1", "Pod", &format!("{}-1", reference.name));
        let pod =
            object("v1", "Pod", &format!("{}-1-full-recovery-{}", reference.name, &own[own.len() - 4..]));
        let until = if found["spec"]["bootstrap"]["recovery"].is_object() {
            if world.get(&pod).is_none() {
                let spec = json!({"containers": [{"name": "full-recovery"}]});
                world.put(dependent(found, &pod, json!({}), spec));
                return;
            }
            match self.recovered(world, found) {
                Ok(data) => data,
                Err(why) => {
                    world.logged(NAMESPACE, &pod.name, "full-recovery", false, &why);
                    return;
                }
            }
        } else {
            Data { source: None, until: 0 }
        };
        self.tell(format!("Cluster {} holds {until:?}", reference.name));
        self.data.insert(own, until);
        world.remove(&pod);
        start_instance(world, found, &instance);
        self.phase(world, reference, HEALTHY);
    }

    /// What a recovery of this Cluster gets, or the line that it logs.
    fn recovered(&self, world: &World, found: &Json) -> Result<Data, String> {
        if let Some(place) = writes_to(world, found)
            && self.archives.get(&place).is_some_and(|a| !a.writer.is_empty())
        {
            return Err(format!("WAL archive check failed for server {}: Expected empty archive", place.1));
        }
        let external = &found["spec"]["externalClusters"][0]["plugin"]["parameters"];
        let store = object(BARMAN, "ObjectStore", text(external, "/barmanObjectName"));
        let store = world.get(&store).ok_or("the ObjectStore is not there")?;
        let place = (
            place(text(&store, "/spec/configuration/destinationPath")),
            text(external, "/serverName").into(),
        );
        let archive = self.archives.get(&place).ok_or("no target backup found")?;
        let target = text(found, "/spec/bootstrap/recovery/recoveryTarget/targetTime");
        let (target, until) = match target {
            "" => (i64::MAX, archive.last_commit),
            at => {
                let at = seconds(at)
                    .ok_or_else(|| format!("invalid value for parameter \"recovery_target_time\": {at:?}"))?;
                (at, at)
            }
        };
        if !archive.bases.iter().any(|(stop, _)| *stop <= target) {
            return Err("no target backup found".into());
        }
        if target != i64::MAX && archive.last_commit <= target {
            return Err(format!("FATAL: {SIGNATURE}"));
        }
        Ok(Data { source: Some(place), until })
    }

    /// What a healthy Cluster archives.
    fn archive(&mut self, world: &World, found: &Json) {
        let Some(place) = writes_to(world, found) else { return };
        let own = uid(found).unwrap_or_default();
        let archive = self.archives.entry(place).or_default();
        if archive.writer.is_empty() {
            archive.writer = own.into();
        }
        if archive.writer == own && self.busy {
            archive.last_commit = world.now();
        }
    }

    /// The last of the write-ahead logs of its backups are not in the archive yet.
    pub(crate) fn falls_behind(&mut self, world: &mut World) {
        for backup in world.all(CNPG, "Backup") {
            let reference = object(CNPG, "Backup", text(&backup, "/metadata/name"));
            world.edit(&reference, |b| b["status"]["endWal"] = Json::Null);
        }
    }

    /// The operator looks at the backups that were asked for.
    pub(crate) fn backups(&mut self, world: &mut World, app: &str) {
        let all = world.all(CNPG, "Backup");
        for backup in all.filter(|b| text(b, "/spec/cluster/name") == cluster(app).name) {
            let reference = object(CNPG, "Backup", text(&backup, "/metadata/name"));
            let Some(found) = world.get(&cluster(app)) else { continue };
            let instance = world.get(&object("v1", "Pod", &format!("{}-1", cluster(app).name)));
            let Some(ready) = instance.as_deref().map(has_sidecar) else { continue };
            let place = writes_to(world, &found);
            let own = uid(&found).unwrap_or_default().to_owned();
            let now = world.now();
            if text(&backup, "/status/phase") == "completed" && backup["status"]["endWal"].is_null() {
                self.tell(format!("Backup {}: all of it is in the archive", reference.name));
                world.edit(&reference, |b| b["status"]["endWal"] = json!("000000010000000000000004"));
            }
            match (text(&backup, "/status/phase"), place) {
                ("", Some(place)) if ready => {
                    let writer = self.archives.entry(place).or_default();
                    if writer.writer.is_empty() {
                        writer.writer.clone_from(&own);
                    }
                    let phase = if writer.writer == own { "started" } else { "walArchivingFailing" };
                    self.tell(format!("Backup {}: {phase}", reference.name));
                    world.edit(&reference, |b| {
                        b["status"] = json!({"phase": phase, "startedAt": rfc3339(now)})
                    });
                }
                ("", _) => {
                    self.tell(format!("Backup {}: failed, no plugin", reference.name));
                    let error = format!("requested plugin is not available: {PLUGIN}");
                    world.edit(&reference, |b| b["status"] = json!({"phase": "failed", "error": error}));
                }
                ("started", Some(place)) => {
                    let archive = self.archives.entry(place.clone()).or_default();
                    archive.bases.push((now, reference.name.clone()));
                    archive.last_commit = archive.last_commit.max(now - 1);
                    self.stops.insert(reference.name.clone(), now);
                    let first = archive.bases[0].0;
                    self.tell(format!("Backup {}: completed", reference.name));
                    world.edit(&reference, |b| {
                        b["status"]["phase"] = json!("completed");
                        b["status"]["backupId"] = json!(format!("{now}"));
                        b["status"]["stoppedAt"] = json!(rfc3339(now));
                        b["status"]["beginWal"] = json!("000000010000000000000003");
                        b["status"]["endWal"] = json!("000000010000000000000004");
                        b["status"]["majorVersion"] = json!(15);
                    });
                    let store = object(BARMAN, "ObjectStore", &cluster(app).name);
                    world.edit(&store, |s| {
                        s["status"]["serverRecoveryWindow"][place.1.as_str()] = json!({
                            "firstRecoverabilityPoint": rfc3339(first), "lastSuccessfulBackupTime": rfc3339(now),
                        });
                    });
                }
                _ => {}
            }
        }
    }

    /// Volumes that no pod uses lose what protects them.
    pub(crate) fn volumes(&mut self, world: &mut World) {
        if self.stuck_volumes {
            return;
        }
        let volumes = world.all("v1", "PersistentVolumeClaim");
        for volume in volumes.filter(|v| is_terminating(v)) {
            let name = text(&volume, "/metadata/name");
            // The instance's pod has the name of its volume.
            let owner = text(&volume, "/metadata/ownerReferences/0/uid");
            let used = world
                .get(&object("v1", "Pod", name))
                .is_some_and(|p| text(&p, "/metadata/ownerReferences/0/uid") == owner);
            if !used {
                world.edit(&object("v1", "PersistentVolumeClaim", name), |v| {
                    v["metadata"]["finalizers"] = json!([]);
                });
            }
        }
    }

    /// Retention removes the oldest base backup, and the Backup that made it.
    pub(crate) fn retention(&mut self, world: &mut World) {
        for ((path, server), archive) in &mut self.archives {
            if archive.bases.is_empty() {
                continue;
            }
            let (_, name) = archive.bases.remove(0);
            world.remove(&object(CNPG, "Backup", &name));
            self.told.push(format!("retention removes {name}"));
            let stores = world.all(BARMAN, "ObjectStore");
            let of_archive = |s: &Arc<Json>| place(text(s, "/spec/configuration/destinationPath")) == *path;
            for store in stores.filter(of_archive) {
                let reference = object(BARMAN, "ObjectStore", text(&store, "/metadata/name"));
                let window = archive
                    .bases
                    .first()
                    .map(|(first, _)| json!({"firstRecoverabilityPoint": rfc3339(*first)}));
                world.edit(&reference, |s| {
                    s["status"]["serverRecoveryWindow"][server.as_str()] = json!(window)
                });
            }
        }
    }

    /// Somebody makes an empty Cluster where there is none.
    pub(crate) fn make_empty(&mut self, world: &mut World, app: &str) {
        let reference = cluster(app);
        if world.get(&reference).is_none() {
            self.tell("somebody makes an empty Cluster");
            world.put(json!({
                "apiVersion": CNPG, "kind": "Cluster",
                "metadata": {"namespace": NAMESPACE, "name": reference.name},
                "spec": {"instances": 1, "bootstrap": {"initdb": {}}},
            }));
        }
    }
}

/// The path and server name that a Cluster archives to, where it does.
fn writes_to(world: &World, cluster: &Json) -> Option<(String, String)> {
    let plugins = cluster["spec"]["plugins"].as_array()?;
    let entry = plugins.iter().find(|p| p["name"] == PLUGIN && p["isWALArchiver"] == true)?;
    let store = world.get(&object(BARMAN, "ObjectStore", text(entry, "/parameters/barmanObjectName")))?;
    let server = text(entry, "/parameters/serverName");
    Some((place(text(&store, "/spec/configuration/destinationPath")), server.to_owned()))
}

pub(crate) fn place(path: &str) -> String {
    path.trim_end_matches('/').to_owned()
}

/// A time as PostgreSQL takes it: RFC 3339 with a numeric zone, or date and time with one. It refuses a `Z`.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    if text.ends_with('Z') {
        return None;
    }
    let zoned = text.trim_end_matches(":00").replacen(' ', "T", 1);
    let at = zoned.strip_suffix("+00").map(|at| format!("{at}Z"))?;
    at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

fn has_plugin(cluster: &Json) -> bool {
    cluster["spec"]["plugins"].as_array().is_some_and(|p| p.iter().any(|p| p["name"] == PLUGIN))
}

fn has_sidecar(pod: &Json) -> bool {
    pod["spec"]["initContainers"]
        .as_array()
        .is_some_and(|c| c.iter().any(|c| c["name"] == "plugin-barman-cloud"))
}

fn start_instance(world: &mut World, cluster: &Json, instance: &ObjectRef) {
    let mut init = vec![json!({"name": "bootstrap-controller"})];
    let mut status = vec![];
    if has_plugin(cluster) {
        init.push(json!({"name": "plugin-barman-cloud"}));
        status.push(json!({"name": "plugin-barman-cloud", "started": true}));
    }
    let spec = json!({"containers": [{"name": "postgres"}], "initContainers": init});
    let mut pod = dependent(cluster, instance, json!({}), spec);
    pod["metadata"]["labels"]["cnpg.io/podRole"] = json!("instance");
    pod["status"] = json!({"phase": "Running", "initContainerStatuses": status});
    world.put(pod);
}

/// An object of a Cluster, that goes with it.
fn dependent(cluster: &Json, reference: &ObjectRef, metadata: Json, spec: Json) -> Json {
    let name = text(cluster, "/metadata/name");
    let mut object = json!({
        "apiVersion": reference.api_version, "kind": reference.kind, "metadata": metadata, "spec": spec,
    });
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object["metadata"]["name"] = json!(reference.name);
    object["metadata"]["labels"] = json!({"cnpg.io/cluster": name});
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": CNPG, "kind": "Cluster", "name": name, "uid": uid(cluster), "controller": true,
    }]);
    object
}

fn say_ready(world: &mut World, reference: &ObjectRef, outcome: Result<(), String>) {
    let (status, reason, message) = match outcome {
        Ok(()) => ("True", "UpgradeSucceeded", "Helm upgrade succeeded".to_owned()),
        Err(e) => ("False", "UpgradeFailed", e),
    };
    let condition = json!({"type": "Ready", "status": status, "reason": reason, "message": message});
    if world.get(reference).is_some_and(|r| r["status"]["conditions"][0] != condition) {
        world.edit(reference, |r| r["status"]["conditions"] = json!([condition]));
    }
}
