//! The format, imports and exports of a file: every check that does not run the component.

use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};

use crate::load_error::LoadError;
use crate::v0_1;
use crate::world::World;

const PACKAGE: &str = "backstay:strategy/";
/// The served version, for [`LoadError::UnknownVersion`].
const SERVED: &str = "backstay:strategy@0.1";

/// Checks the first bytes of a file: magic number, then version and layer.
pub(crate) fn header(bytes: &[u8]) -> Result<(), LoadError> {
    let (magic, version) = match bytes.first_chunk::<8>() {
        Some([m @ .., a, b, c, d]) => (m, [*a, *b, *c, *d]),
        None => return Err(LoadError::NotWasm),
    };
    match (magic, version) {
        (b"\0asm", [0x0d, 0, 1, 0]) => Ok(()),
        (b"\0asm", [1, 0, 0, 0]) => Err(LoadError::CoreModule),
        (b"\0asm", version) => Err(LoadError::UnknownFormat { version }),
        _ => Err(LoadError::NotWasm),
    }
}

/// The shape of a component.
pub(crate) struct Shape {
    pub(crate) world: World,
    /// Names of the imported interfaces.
    pub(crate) imports: Vec<String>,
    /// Version of the exported contract, such as `0.1.0`.
    pub(crate) version: String,
}

/// Reads the imports and exports of a compiled component.
pub(crate) fn shape(engine: &Engine, component: &wasmtime::component::Component) -> Result<Shape, LoadError> {
    let ty = component.component_type();
    let mut imports = Vec::new();
    let mut refused = Vec::new();
    for (name, item) in ty.imports(engine) {
        if name.starts_with(PACKAGE) {
            served_version(name)?;
        }
        collect_imports(engine, name, &item.ty, &mut refused);
        imports.push(name.to_owned());
    }
    if !refused.is_empty() {
        return Err(LoadError::UndeclaredImport { names: refused });
    }
    let (mut about, mut pod, mut resource) = (None, false, false);
    for (name, _) in ty.exports(engine) {
        let Some(version) = name.starts_with(PACKAGE).then(|| served_version(name)).transpose()? else {
            continue;
        };
        match interface(name) {
            "about" => about = Some(version.to_owned()),
            "pod-driver" => pod = true,
            "resource-driver" => resource = true,
            _ => {}
        }
    }
    let version = about.ok_or(LoadError::NoAbout)?;
    let world = match (pod, resource) {
        (true, false) => World::Pod,
        (false, true) => World::Resource,
        (false, false) => return Err(LoadError::NoDriver),
        (true, true) => return Err(LoadError::TwoDrivers),
    };
    Ok(Shape { world, imports, version })
}

/// Returns `about` for `backstay:strategy/about@0.1.0`.
fn interface(name: &str) -> &str {
    let name = name.strip_prefix(PACKAGE).unwrap_or(name);
    name.split_once('@').map_or(name, |(interface, _)| interface)
}

/// Returns the version of an interface of the contract, if this host serves it.
fn served_version(name: &str) -> Result<&str, LoadError> {
    let unknown = || LoadError::UnknownVersion { name: name.to_owned(), served: SERVED };
    let (_, text) = name.split_once('@').ok_or_else(unknown)?;
    let version = semver::Version::parse(text).map_err(|_| unknown())?;
    let ours = semver::Version::parse(v0_1::VERSION).map_err(|_| unknown())?;
    // A later 0.1.x only adds interfaces, so every 0.1.x is served.
    let same = (version.major, version.minor) == (ours.major, ours.minor) && version.pre.is_empty();
    same.then_some(text).ok_or_else(unknown)
}

/// Adds to `refused` every import of `item` other than types and `log.write`.
fn collect_imports(engine: &Engine, name: &str, item: &ComponentItem, refused: &mut Vec<String>) {
    match item {
        ComponentItem::Type(_) => {}
        ComponentItem::ComponentInstance(instance) => {
            collect_instance_imports(engine, name, instance, refused)
        }
        ComponentItem::ComponentFunc(_)
        | ComponentItem::CoreFunc(_)
        | ComponentItem::Module(_)
        | ComponentItem::Component(_)
        | ComponentItem::Resource(_) => refused.push(name.to_owned()),
    }
}

fn collect_instance_imports(
    engine: &Engine,
    name: &str,
    instance: &ComponentInstance,
    refused: &mut Vec<String>,
) {
    let log = name.starts_with(PACKAGE) && interface(name) == "log";
    for (inner, item) in instance.exports(engine) {
        let write = log && inner == "write" && matches!(item.ty, ComponentItem::ComponentFunc(_));
        if !write {
            collect_imports(engine, &format!("{name}#{inner}"), &item.ty, refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_files_apart_by_their_first_bytes() {
        assert!(header(b"\0asm\x0d\0\x01\0rest").is_ok());
        assert!(matches!(header(b"\0asm\x01\0\0\0"), Err(LoadError::CoreModule)));
        assert!(matches!(
            header(b"\0asm\x0c\0\x01\0"),
            Err(LoadError::UnknownFormat { version: [12, 0, 1, 0] })
        ));
        assert!(matches!(header(b"\x7fELF\x02\x01\x01\0"), Err(LoadError::NotWasm)));
        assert!(matches!(header(b"\0asm"), Err(LoadError::NotWasm)));
        assert!(matches!(header(b""), Err(LoadError::NotWasm)));
    }

    #[test]
    fn serves_every_patch_of_its_minor_version_and_nothing_else() {
        assert_eq!(served_version("backstay:strategy/about@0.1.0").unwrap(), "0.1.0");
        assert_eq!(served_version("backstay:strategy/about@0.1.7").unwrap(), "0.1.7");
        for name in ["about", "about@0.2.0", "about@1.1.0", "about@0.1.0-rc.1", "about@new"] {
            let error = served_version(&format!("{PACKAGE}{name}")).unwrap_err();
            assert_eq!(error.reason(), "ComponentVersionUnknown", "{name}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
