//! The finalizers of volumes and claims: they stay while something uses them.

use serde_json::Value;

use super::call::Call;
use super::resource::Resource;
use super::store::{Family, Key};
use super::{meta, view};

const CLAIM: &str = "kubernetes.io/pvc-protection";
const VOLUME: &str = "kubernetes.io/pv-protection";

/// The finalizer of a kind.
fn finalizer(plural: &str) -> Option<&'static str> {
    match plural {
        "persistentvolumeclaims" => Some(CLAIM),
        "persistentvolumes" => Some(VOLUME),
        _ => None,
    }
}

/// Gives a new claim or volume its finalizer.
pub(crate) fn protect(resource: &Resource, new: &mut Value) {
    let Some(finalizer) = finalizer(&resource.plural) else { return };
    let mut finalizers: Vec<String> = meta::finalizers(new).into_iter().map(str::to_owned).collect();
    if !finalizers.iter().any(|one| one == finalizer) {
        finalizers.push(finalizer.into());
        meta::set_finalizers(new, &finalizers);
    }
}

/// Takes the finalizer from what is being deleted and not used any more.
pub(crate) fn release(call: &mut Call<'_>, written: &Family) {
    if !written.0.is_empty()
        || !["pods", "persistentvolumeclaims", "persistentvolumes"].contains(&written.1.as_str())
    {
        return;
    }
    for plural in ["persistentvolumeclaims", "persistentvolumes"] {
        let (Some(finalizer), family) = (finalizer(plural), (String::new(), plural.to_owned())) else {
            return;
        };
        let free: Vec<Key> = call
            .state
            .store
            .family(&family)
            .filter(|(_, stored)| meta::terminating(&stored.value))
            .filter(|(key, stored)| {
                meta::finalizers(&stored.value).contains(&finalizer) && !used(call, key, &stored.value)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in free {
            let_go(call, &family, key, finalizer);
        }
    }
}

/// Whether a claim is mounted by a Pod on a node that has not ended, or a volume is bound.
fn used(call: &Call<'_>, key: &Key, object: &Value) -> bool {
    if object.get("kind").and_then(Value::as_str) == Some("PersistentVolume") {
        return object.pointer("/status/phase").and_then(Value::as_str) == Some("Bound");
    }
    let family = (String::new(), "pods".to_owned());
    let pods = call.state.store.family(&family).map(|(_, pod)| &*pod.value);
    pods.filter(|pod| meta::text(pod, "namespace") == key.0).any(|pod: &Value| {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let ended = ["Succeeded", "Failed"].contains(&text("/status/phase"));
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
        let mut claims =
            volumes.filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str());
        !text("/spec/nodeName").is_empty() && !ended && claims.any(|claim| claim == key.1)
    })
}

fn let_go(call: &mut Call<'_>, family: &Family, key: Key, finalizer: &str) {
    let Some(stored) = call.state.store.get(family, &key) else { return };
    let mut object = (*stored.value).clone();
    let others: Vec<String> =
        meta::finalizers(&object).into_iter().filter(|one| *one != finalizer).map(str::to_owned).collect();
    meta::set_finalizers(&mut object, &others);
    let after = (!others.is_empty()).then_some((object, view::BUILT_IN));
    call.state.store.commit(family, key, after);
}
