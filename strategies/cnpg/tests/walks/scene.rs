//! What a walk begins with: an application, its archive, a Backup of it, and what is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use backstay_testing::contract::{Backup, GroupKind, Json, Mode, ObjectRef, Request};
use backstay_testing::{Drive, StepFn, Turn, World};
use serde_json::json;

use crate::chart::{self, NAMESPACE};
use crate::rng::Rng;
use crate::site::Site;

pub(crate) const PASSWORD: &str = "s3cret-of-anna";
pub(crate) const SOURCE: &str = "orders";
pub(crate) const COPY: &str = "orders-copy";
/// The BackupJob that a restore is of.
const FIRST: &str = "nightly";
const PATH: &str = "s3://tenant-a/orders/";

/// Who set the archive up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Managed {
    ByStrategy,
    ByChart,
    SystemBucket,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) mode: Mode,
    pub(crate) managed: Managed,
    /// To another application than the one backed up.
    pub(crate) copy: bool,
    /// Users go on committing after the backup.
    pub(crate) busy: bool,
    pub(crate) suspended_before: bool,
    pub(crate) without_release: bool,
    pub(crate) without_keys: bool,
    /// The strategy names no Secret: access by role.
    pub(crate) by_role: bool,
    /// Retention has removed the backup before the restore begins.
    pub(crate) pruned: bool,
    /// The archive does not hold all of the backup yet.
    pub(crate) behind: bool,
    pub(crate) options: Json,
    /// Seconds that the host's clock is ahead.
    pub(crate) skew: i64,
}

impl Scene {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let mode = if rng.chance(25) { Mode::Backup } else { Mode::Restore };
        let managed = *rng.pick(&[
            Managed::ByStrategy,
            Managed::ByStrategy,
            Managed::ByStrategy,
            Managed::ByChart,
            Managed::ByChart,
            Managed::SystemBucket,
        ]);
        let without_release = rng.chance(3);
        let options = Self::options(rng, managed, without_release);
        Self {
            mode,
            managed,
            copy: rng.chance(25),
            busy: rng.chance(70),
            suspended_before: rng.chance(8),
            without_release,
            without_keys: rng.chance(4),
            by_role: mode == Mode::Restore && rng.chance(4),
            pruned: rng.chance(5),
            options,
            skew: *rng.pick(&[0, 0, 0, 3600, -3600]),
            // Looked at and not drawn: walks of a seed stay what they were.
            behind: mode == Mode::Restore && rng.clone().chance(5),
        }
    }

    /// Options of a restore, with words for times.
    pub(crate) fn options(rng: &mut Rng, managed: Managed, without_release: bool) -> Json {
        let mut options = json!({});
        match rng.below(10) {
            0 => options["recoveryTarget"] = json!("latest"),
            1 => options["recoveryTime"] = json!("in between"),
            2 => options["recoveryTime"] = json!("later than all"),
            _ => {}
        }
        if rng.chance(20) {
            options["restoreTimeoutSeconds"] = json!(*rng.pick(&[60, 300, 900]));
        }
        if managed == Managed::SystemBucket && rng.chance(80) {
            options["leaveSystemBucket"] = json!(true);
        }
        if without_release && rng.chance(30) {
            options["allowMissingRelease"] = json!(true);
        }
        options
    }

    /// The application acted on.
    pub(crate) fn app(&self) -> &'static str {
        if self.mode == Mode::Restore && self.copy { COPY } else { SOURCE }
    }

    /// Whether a run of this scene comes to a good end, if nobody disturbs it and what is asked for is in the archive.
    pub(crate) fn is_possible(&self) -> bool {
        let in_time = self.options["restoreTimeoutSeconds"].as_i64().is_none_or(|t| t >= 900);
        let leaves =
            self.managed != Managed::SystemBucket || self.copy || self.options["leaveSystemBucket"] == true;
        let made = self.mode == Mode::Backup || (in_time && leaves && !self.without_release);
        made && !self.without_keys && !self.by_role && !self.pruned && !self.behind && !self.suspended_before
    }

    /// The world to begin in, and the Backup to restore.
    pub(crate) fn set(&self, step: fn() -> StepFn<'static>) -> (World, Site, Option<Backup>) {
        type Key = (Managed, bool, bool);
        type Set = (World, Site, Backup);
        static SETS: OnceLock<Mutex<BTreeMap<Key, Arc<Set>>>> = OnceLock::new();
        let (mut world, mut site, backup) = if self.mode == Mode::Restore {
            let key = (self.managed, self.copy, self.busy);
            let mut sets = SETS.get_or_init(Mutex::default).lock().expect("a set that was made is whole");
            let set = sets.entry(key).or_insert_with(|| Arc::new(self.backed_up(step)));
            let (world, site, backup) = set.as_ref().clone();
            (world, site, Some(backup))
        } else {
            let (mut world, mut site) = self.installed();
            site.settle(&mut world, &[SOURCE]);
            (world, site, None)
        };
        if self.suspended_before {
            world.edit(&chart::release(self.app()), |r| r["spec"]["suspend"] = json!(true));
        }
        if self.without_release {
            world.remove(&chart::release(self.app()));
        }
        if self.without_keys {
            world.remove(&chart::object("v1", "Secret", "archive-keys"));
        }
        if self.pruned && self.mode == Mode::Restore {
            site.retention(&mut world);
        }
        if self.behind {
            site.falls_behind(&mut world);
        }
        site.told.clear();
        (world, site, backup)
    }

    fn installed(&self) -> (World, Site) {
        let mut world = World::new();
        world.add(
            "{apiVersion: v1, kind: Secret, metadata: {namespace: tenant-a, name: archive-keys}, \
             data: {AWS_ACCESS_KEY_ID: YQ==, AWS_SECRET_ACCESS_KEY: YQ==}}",
        );
        let backup = match self.managed {
            Managed::ByStrategy => json!({"enabled": false}),
            Managed::ByChart => json!({
                "enabled": true, "destinationPath": PATH, "endpointURL": "https://s3.example",
                "s3CredentialsSecret": {"name": "archive-keys"},
            }),
            Managed::SystemBucket => json!({"enabled": true, "useSystemBucket": true}),
        };
        let values = json!({
            "size": "10Gi", "version": "v15",
            "databases": {"shop": {"roles": {"admin": ["anna"]}}},
            "users": {"anna": {"password": PASSWORD}},
            "backup": backup,
        });
        chart::install(&mut world, SOURCE, &values, false);
        (world, Site { busy: true, ..Site::default() })
    }

    /// After a backup that nothing disturbed.
    fn backed_up(&self, step: fn() -> StepFn<'static>) -> (World, Site, Backup) {
        let (mut world, mut site) = self.installed();
        site.busy = self.busy;
        site.settle(&mut world, &[SOURCE]);
        let request = self.request(Mode::Backup, FIRST, "11111111-0000-4000-8000-000000000001", None);
        let descriptor = crate::descriptor();
        let mut drive = Drive::new(descriptor, request, world, step());
        let turn = drive.run(|world| {
            site.helm(world, SOURCE);
            site.operator(world, SOURCE);
            site.backups(world, SOURCE);
            world.collect_garbage();
        });
        let Turn::Done(Some(outcome)) = turn else {
            panic!("an undisturbed backup ends so: {turn:?}\n{:#?}\n{:#?}", drive.journal(), site.told)
        };
        let backup = drive.backup(&outcome);
        let mut world = drive.world;
        world.advance(600);
        site.settle(&mut world, &[SOURCE]);
        world.advance(600);
        site.settle(&mut world, &[SOURCE]);
        if self.copy {
            let values = json!({
                "size": "10Gi", "version": "v15", "users": {"bert": {}},
                "backup": {"s3AccessKey": "inline", "s3SecretKey": "inline"},
            });
            chart::install(&mut world, COPY, &values, false);
            site.settle(&mut world, &[SOURCE, COPY]);
        }
        (world, site, backup)
    }

    /// A run of this scene.
    pub(crate) fn request(&self, mode: Mode, name: &str, uid: &str, backup: Option<Backup>) -> Request {
        let kind = match mode {
            Mode::Backup => "BackupJob",
            Mode::Restore => "RestoreJob",
            Mode::Cleanup => "Backup",
        };
        let app = if mode == Mode::Restore { self.app() } else { SOURCE };
        let mut store = json!({
            "destinationPath": "s3://{{ .Parameters.bucket }}/orders/",
            "endpointURL": "https://s3.example",
            "wal": {"compression": "gzip"},
        });
        if !self.by_role || name == FIRST {
            store["s3Credentials"] = json!({"secretRef": {"name": "archive-keys"}});
        }
        Request {
            mode,
            run: ObjectRef {
                api_version: "backups.cozystack.io/v1alpha1".into(),
                kind: kind.into(),
                namespace: Some(NAMESPACE.into()),
                name: name.into(),
            },
            run_uid: uid.into(),
            started_at: 0,
            deadline: 0,
            now: 0,
            strategy_kind: GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "CNPG".into() },
            strategy: Some(json!({"template": {"barmanObjectStore": store}})),
            parameters: [("bucket".to_owned(), NAMESPACE.to_owned())].into(),
            options: None,
            application: chart::application(app),
            backup,
            namespaces: BTreeMap::new(),
            inherited: None,
            cancelled: None,
        }
    }
}
