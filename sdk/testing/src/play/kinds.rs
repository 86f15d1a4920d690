//! The kinds of a cluster: those that are served, and those that are made for a test, without a schema.

use anyhow::Context as _;
use backstay::trial::{Admin, Kind};
use backstay_core::contract::{Descriptor, Json};
use devcluster::api::Served;

/// Makes the kinds that the component declares and those of the objects, where they are not served.
///
/// # Errors
/// A kind cannot be made.
pub(super) async fn make(
    admin: &Admin,
    component: &Descriptor,
    objects: impl Iterator<Item = &Json>,
) -> anyhow::Result<()> {
    for access in &component.access {
        if access.group.is_empty() {
            continue;
        }
        let api_version = format!("{}/{}", access.group, access.version);
        if admin.server().served(&api_version, &access.kind).is_none() {
            let made = Kind {
                group: access.group.clone(),
                version: access.version.clone(),
                kind: access.kind.clone(),
                plural: access.plural.clone(),
                status: true,
            };
            admin.make_kind(&made).await?;
        }
    }
    for object in objects {
        if admin.served(object)?.is_none() {
            admin.make_kind(&Kind { status: true, ..Kind::of(object)? }).await?;
        }
    }
    Ok(())
}

/// Returns how a kind is served that is named as in `Backup.postgresql.cnpg.io`; kinds of the core group have no group.
///
/// # Errors
/// It is not served.
pub(super) fn named(admin: &Admin, name: &str) -> anyhow::Result<Served> {
    let (kind, group) = name.split_once('.').unwrap_or((name, ""));
    admin.server().served_in(group, kind).with_context(|| {
        format!(
            "kind {name:?} is not served: name it KIND.GROUP, and give its CRD or an object of it with \
             Stage::objects if the component declares no access to it"
        )
    })
}
