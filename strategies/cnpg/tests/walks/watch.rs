//! What must hold at every step of a walk, whoever did what before.

use std::collections::BTreeSet;
use std::sync::Arc;

use backstay_testing::contract::{Action, Backup, Delete, Failure, Json, Mode, Outcome, Request};
use backstay_testing::{Drive, RUN_UID_LABEL, Turn, World, is_terminating, uid};

use crate::chart::{self, CNPG, asleep, cluster, release, text};
use crate::scene::{PASSWORD, Scene};
use crate::site::{Site, place, seconds};

/// The state of the database that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// As the backup has it.
    Backup,
    Time(i64),
    /// The end of the archive.
    Latest,
}

/// The state that a run found, and what has become of it.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    app: &'static str,
    mode: Mode,
    run_uid: String,
    /// Path and server name to recover from.
    source: Option<(String, String)>,
    /// The moments that the recovered database may be of: the first and the last.
    moments: (i64, i64),
    values: Json,
    cluster: Option<Json>,
    volumes: BTreeSet<String>,
    suspended: bool,
    /// When the plan with this limit was stored, in the cluster's time, and how long it may wait from then on before it
    /// deletes.
    planned: Option<(i64, Json)>,
    limit: i64,
    /// Nobody needs to be there who makes a Cluster anew.
    without_release: bool,
    /// The stored checkpoint, as text, without what has been asked for: only what is to be deleted is planned.
    stored: String,
    /// The run has deleted something.
    begun: bool,
    /// The run has resumed the release.
    resumed: bool,
    /// Clusters that the run's deletes reached.
    pub(crate) deleted: BTreeSet<String>,
    /// Somebody suspended the release, or it was so in the beginning, and nobody resumed it.
    pub(crate) held: bool,
    /// Somebody changed what the run found: the release, the values or the Cluster.
    pub(crate) meddled: bool,
    /// A write was refused for good, so that what is to be put back may not be.
    pub(crate) refused: bool,
}

impl Watcher {
    pub(crate) fn new(scene: &Scene, request: &Request, world: &World, site: &Site, asked: Asked) -> Self {
        let app = if request.mode == Mode::Restore { scene.app() } else { crate::scene::SOURCE };
        let source = request.backup.as_ref().map(source_of);
        let archive = source.as_ref().and_then(|s| site.archives.get(s));
        let made = request.backup.as_ref().and_then(|b| b.metadata.get("cnpg.io/backup-name"));
        let stop = made.and_then(|name| site.stops.get(name)).copied();
        let moments = match (asked, stop) {
            (Asked::Latest, _) => (archive.map_or(0, |a| a.last_commit), i64::MAX),
            (Asked::Time(at), _) => (at, at),
            // The operator writes whole seconds, so the backup may have ended within this one. And where nothing was
            // committed after it, the end of the archive is the same state.
            (Asked::Backup, Some(stop)) => (stop - 1, stop + 1),
            (Asked::Backup, None) => (0, 0),
        };
        let option = |name: &str| request.options.as_ref().map(|o| o[name].clone()).unwrap_or_default();
        let found = world.get(&cluster(app)).map(|c| Json::clone(&c));
        let volumes = world.all("v1", "PersistentVolumeClaim");
        let label = cluster(app).name;
        let of_app = volumes.filter(|v| v["metadata"]["labels"]["cnpg.io/cluster"] == label.as_str());
        Self {
            app,
            mode: request.mode,
            run_uid: request.run_uid.clone(),
            source,
            moments,
            values: values(world, app),
            volumes: of_app.filter_map(|v| uid(&v).map(str::to_owned)).collect(),
            cluster: found,
            suspended: world.get(&release(app)).is_some_and(|r| r["spec"]["suspend"] == true),
            planned: None,
            limit: option("restoreTimeoutSeconds").as_i64().unwrap_or(1800),
            without_release: option("allowMissingRelease") == true,
            stored: String::new(),
            begun: false,
            resumed: false,
            deleted: BTreeSet::new(),
            held: false,
            // What an earlier run left is neither as it was, nor to be put back so.
            meddled: request.inherited.is_some(),
            refused: false,
        }
    }

    /// A checkpoint is stored.
    pub(crate) fn stores(&mut self, stage: &str, data: &Json, now: i64) {
        let limit = &data["plan"]["limit"];
        // A plan that is dropped and made anew, before the application is written, has its time anew.
        let anew = stage == "suspend" && self.planned.as_ref().is_some_and(|(_, known)| known != limit);
        if limit.is_number() && (self.planned.is_none() || anew) {
            self.planned = Some((now, limit.clone()));
        }
        let mut planned = data.clone();
        if let Some(plan) = planned["plan"].as_object_mut() {
            plan.remove("deletes");
        }
        self.stored = planned.to_string();
    }

    /// An action is about to be carried out.
    pub(crate) fn action(&mut self, world: &World, site: &Site, action: &Action) -> Result<(), String> {
        if let Action::Patch(patch) = action {
            self.resumed |= patch.object.kind == "HelmRelease" && patch.body["spec"]["suspend"] == false;
        }
        let Action::Delete(delete) = action else { return Ok(()) };
        if self.mode != Mode::Restore {
            return Ok(());
        }
        let Some(current) = world.get(&delete.object).filter(|o| uid(o) == Some(&delete.uid)) else {
            return Ok(());
        };
        if !is_terminating(&current) {
            self.deletes(world, site, &delete.uid)?;
        }
        match delete.object.kind.as_str() {
            "Cluster" => self.deletes_cluster(world, site, delete, &current),
            "PersistentVolumeClaim" => {
                let owner = text(&current, "/metadata/ownerReferences/0/uid");
                let planned =
                    self.stored.contains(&delete.uid) || (!owner.is_empty() && self.stored.contains(owner));
                if !planned {
                    return Err(format!(
                        "volume {} is deleted, and is in no stored plan",
                        delete.object.name
                    ));
                }
                let living = world.get(&cluster(self.app)).filter(|c| uid(c) == Some(owner));
                match living.filter(|c| !is_terminating(c)) {
                    Some(_) => Err(format!("volume {} of a living Cluster is deleted", delete.object.name)),
                    None => Ok(()),
                }
            }
            other => Err(format!("a {other} is deleted")),
        }
    }

    fn is_moment(&self, at: i64) -> bool {
        (self.moments.0..=self.moments.1).contains(&at)
    }

    /// What must hold when the first delete comes, be it of a Cluster or of volumes that one has left.
    fn deletes(&mut self, world: &World, site: &Site, what: &str) -> Result<(), String> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let waited = self.planned.as_ref().map_or(0, |(since, _)| world.now() - since);
        // A Cluster that the restore itself has caused since is no loss, however late it is recovered once more.
        let was_there = self.volumes.contains(what) || self.cluster.as_ref().and_then(uid) == Some(what);
        if was_there && waited > self.limit {
            return Err(format!("the first delete is {waited} s after the plan"));
        }
        if !self.without_release && world.get(&release(self.app)).is_none() {
            return Err(
                "something is deleted, and there is no release that would make the Cluster anew".into()
            );
        }
        let archive = self.source.as_ref().and_then(|s| site.archives.get(s));
        let first = archive.and_then(|a| a.bases.first()).map(|(stop, _)| *stop);
        if first.is_none_or(|stop| stop > self.moments.1) {
            return Err("something is deleted, and nothing in the archive can be recovered".into());
        }
        Ok(())
    }

    fn deletes_cluster(
        &mut self,
        world: &World,
        site: &Site,
        delete: &Delete,
        current: &Json,
    ) -> Result<(), String> {
        if is_terminating(current) {
            return Ok(());
        }
        if !self.stored.contains(&delete.uid) {
            return Err(format!("Cluster {} is deleted, and its uid is in no stored plan", delete.uid));
        }
        if !asleep(world, self.app) {
            return Err("the Cluster is deleted while the release is awake".into());
        }
        if site.data.get(&delete.uid).is_some_and(|d| d.source.is_some() && d.source == self.source)
            && (self.resumed || !self.deleted.is_empty())
        {
            return Err("the Cluster that this restore recovered is deleted".into());
        }
        if world.get(&release(self.app)).is_some() {
            let values = values(world, self.app);
            self.plans(&values).map_err(|e| format!("the Cluster is deleted, but {e}"))?;
        }
        self.deleted.insert(delete.uid.clone());
        Ok(())
    }

    /// Whether these values make the chart recover what the run is for.
    fn plans(&self, values: &Json) -> Result<(), String> {
        let (path, server) = self.source.as_ref().ok_or("there is nothing to restore")?;
        let rendered =
            chart::render(self.app, values).map_err(|e| format!("the chart refuses the values: {e}"))?;
        let found = rendered.iter().find(|m| m["kind"] == "Cluster").ok_or("the chart renders no Cluster")?;
        if found["spec"]["externalClusters"][0]["plugin"]["parameters"]["serverName"] != server.as_str() {
            return Err("the values do not recover from the server of the backup".into());
        }
        if place(text(values, "/backup/destinationPath")) != *path {
            return Err("the values do not recover from the path of the backup".into());
        }
        if values["backup"]["endpointURL"] != "https://s3.example" {
            return Err(format!("the endpoint is {}", values["backup"]["endpointURL"]));
        }
        let target = text(found, "/spec/bootstrap/recovery/recoveryTarget/targetTime");
        let at = seconds(target);
        if !target.is_empty() && !at.is_some_and(|at| self.is_moment(at)) {
            return Err(format!("the target is {target}, not within {:?}", self.moments));
        }
        for key in ["s3AccessKey", "s3SecretKey"] {
            if !text(values, &format!("/backup/{key}")).is_empty() {
                return Err(format!("the values hold {key}"));
            }
        }
        Ok(())
    }

    /// A wake is over.
    pub(crate) fn turned(
        &self,
        drive: &Drive<'_>,
        site: &Site,
        turn: &Turn,
        troubled: bool,
    ) -> Result<(), String> {
        let world = &drive.world;
        self.seen_by_tenants(drive, turn)?;
        let ended = matches!(turn, Turn::Done(_) | Turn::Failed(_));
        let undisturbed = matches!(turn, Turn::Waits(_)) && !troubled;
        if self.held && (undisturbed || (ended && !self.refused)) && !asleep(world, self.app) {
            return Err("a suspension that was not the run's is lifted".into());
        }
        match turn {
            Turn::Done(Some(outcome)) => self.backed_up(world, site, outcome),
            Turn::Done(None) if self.mode == Mode::Restore => self.restored(world, site),
            Turn::Failed(failure) if self.mode == Mode::Restore => {
                self.stranded(drive, failure)?;
                self.failed(world, failure)
            }
            _ => Ok(()),
        }
    }

    fn backed_up(&self, world: &World, site: &Site, outcome: &Outcome) -> Result<(), String> {
        let own = |b: &Arc<Json>| b["metadata"]["labels"][RUN_UID_LABEL] == self.run_uid.as_str();
        let complete = |b: &Arc<Json>| b["status"]["phase"] == "completed";
        let completed: Vec<Arc<Json>> = world.all(CNPG, "Backup").filter(own).filter(complete).collect();
        let [backup] = &completed[..] else {
            return Err(format!("the backup succeeded with {} completed Backups", completed.len()));
        };
        let name = text(backup, "/metadata/name");
        let metadata = |key: &str| outcome.metadata.get(key).map_or("", String::as_str);
        if metadata("cnpg.io/backup-name") != name {
            return Err(format!("the backup names {}, not {name}", metadata("cnpg.io/backup-name")));
        }
        let at = (place(metadata("cnpg.io/destination-path")), metadata("cnpg.io/server-name").to_owned());
        match site.archives.get(&at) {
            Some(archive) if archive.bases.iter().any(|(_, n)| n == name) => Ok(()),
            _ => Err(format!("the backup says that it is in {at:?}, which it is not")),
        }
    }

    fn restored(&self, world: &World, site: &Site) -> Result<(), String> {
        let found = world.get(&cluster(self.app)).ok_or("the restore succeeded without a Cluster")?;
        let own = uid(&found).unwrap_or_default();
        if self.cluster.as_ref().and_then(uid) == Some(own) {
            return Err("the restore succeeded with the Cluster that was there before".into());
        }
        // It holds something from when it was healthy first.
        let data = site.data.get(own).ok_or("the restore succeeded with a Cluster that was never healthy")?;
        if data.source != self.source {
            return Err(format!("the restored database is of {:?}, not of {:?}", data.source, self.source));
        }
        if !self.is_moment(data.until) {
            return Err(format!("the restored database is of {}, not within {:?}", data.until, self.moments));
        }
        if !self.held && !self.meddled && asleep(world, self.app) && !self.suspended {
            return Err("the restore succeeded, and the release is still asleep".into());
        }
        Ok(())
    }

    /// After the first delete only limits end a run badly, and the next restore finds what this one knew.
    fn stranded(&self, drive: &Drive<'_>, failure: &Failure) -> Result<(), String> {
        /// What a limit says that has passed; the last ones where something stood in the way until then.
        const LIMITS: [&str; 12] = [
            "Cancelled",
            "DeadlineExceeded",
            "DrainTimedOut",
            "RecoveryTargetUnreachable",
            "RestoreFailed",
            "StrayCluster",
            "AccessForbidden",
            "Conflict",
            "Refused",
            "TooLarge",
            "Unavailable",
            "Unsettled",
        ];
        if !self.begun {
            return Ok(());
        }
        // A delete that was refused, or came too late, may have begun nothing: then all has been put back.
        let undone = drive.checkpoint().is_some_and(|c| c.stage == "undo");
        if !undone && !LIMITS.contains(&failure.reason.as_str()) {
            return Err(format!("failed with {} after the first delete", failure.reason));
        }
        if !undone && drive.left().is_none() {
            return Err("failed after the first delete, and leaves nothing to the next restore".into());
        }
        Ok(())
    }

    fn failed(&self, world: &World, failure: &Failure) -> Result<(), String> {
        let before = self.cluster.as_ref().and_then(uid);
        if !self.deleted.is_empty() || self.meddled || self.refused {
            return Ok(());
        }
        let why = |what: &str| {
            Err(format!("failed with {} before anything was deleted, but {what}", failure.reason))
        };
        let found = world.get(&cluster(self.app));
        if before.is_some() && found.as_deref().and_then(uid) != before {
            return why("the Cluster is not the one that was there");
        }
        let volumes: Vec<Arc<Json>> = world.all("v1", "PersistentVolumeClaim").collect();
        let volumes: BTreeSet<&str> = volumes.iter().filter_map(|v| uid(v)).collect();
        if self.volumes.iter().any(|v| !volumes.contains(v.as_str())) {
            return why("a volume is gone");
        }
        let Some(release) = world.get(&release(self.app)) else { return Ok(()) };
        if (release["spec"]["suspend"] == true) != self.suspended {
            return why(&format!("suspend of the release is {}", release["spec"]["suspend"]));
        }
        let values = values(world, self.app);
        if significant(&values) != significant(&self.values) {
            return why(&format!("the values are {values}, not {}", self.values));
        }
        Ok(())
    }

    /// Passwords are in the application's values, where they were, and nowhere else that a tenant reads.
    fn seen_by_tenants(&self, drive: &Drive<'_>, turn: &Turn) -> Result<(), String> {
        let mut seen = vec![format!("{:?}", drive.conditions()), format!("{:?}", drive.events())];
        seen.push(match turn {
            Turn::Waits(wait) => wait.message.clone(),
            Turn::Failed(failure) => failure.message.clone(),
            Turn::Done(Some(o)) => format!("{:?} {:?} {:?}", o.metadata, o.underlying_resources, o.artifact),
            Turn::Done(None) | Turn::Crashed => String::new(),
        });
        if matches!(turn, Turn::Done(_) | Turn::Failed(_)) {
            for (api_version, kind) in [(CNPG, "Cluster"), (CNPG, "Backup"), (chart::BARMAN, "ObjectStore")] {
                seen.extend(drive.world.all(api_version, kind).map(|o| o.to_string()));
            }
        }
        match seen.iter().find(|s| s.contains(PASSWORD)) {
            Some(where_) => Err(format!("a password can be read in {where_}")),
            None => Ok(()),
        }
    }
}

/// The values without what says nothing: empty texts, and null.
fn significant(values: &Json) -> Json {
    match values {
        Json::Object(fields) => {
            let kept = fields.iter().map(|(k, v)| (k.clone(), significant(v)));
            Json::Object(
                kept.filter(|(_, v)| !v.is_null() && v != "" && *v != serde_json::json!({})).collect(),
            )
        }
        other => other.clone(),
    }
}

fn values(world: &World, app: &str) -> Json {
    world.get(&chart::application(app)).map(|a| a["spec"].clone()).unwrap_or_default()
}

pub(crate) fn source_of(backup: &Backup) -> (String, String) {
    let of = |key: &str| backup.metadata.get(key).cloned().unwrap_or_default();
    (place(&of("cnpg.io/destination-path")), of("cnpg.io/server-name"))
}
