//! Builds a strategy crate for the sandbox.
//!
//! Cargo builds and caches: a crate that has not changed is not built again, and two test processes that build the
//! same crate wait for each other at cargo's lock. Within a process, [`crate::Built`] builds each crate once.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::component::{ComponentError, component_bytes};

/// The target of components, which links in nothing of the system.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The profile of guests, for a workspace that does not define one of this name. It prefers size to speed: fuel bounds
/// the work of a guest, and its size determines the time of a cold compile.
const PROFILE: [&str; 6] = [
    "profile.guest.inherits=\"release\"",
    "profile.guest.opt-level=\"s\"",
    "profile.guest.lto=true",
    "profile.guest.codegen-units=1",
    "profile.guest.panic=\"abort\"",
    "profile.guest.strip=true",
];

/// Why a crate could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder is no crate.
    #[error("{} is not the folder of a crate: it has no Cargo.toml", .0.display())]
    NotACrate(PathBuf),
    /// Cargo did not start.
    #[error("cannot run {}", .0.display())]
    Cargo(PathBuf, #[source] io::Error),
    /// The standard library for the target is not installed.
    #[error(
        "the Rust toolchain has no standard library for {TARGET}; install it with \
         `rustup target add {TARGET}`, or use a toolchain of rustup where the system's packages have none"
    )]
    TargetMissing,
    /// The crate does not compile.
    #[error("cargo could not build {} for {TARGET}:\n{stderr}", dir.display())]
    Compile {
        /// The crate.
        dir: PathBuf,
        /// The output of cargo.
        stderr: String,
    },
    /// Cargo built no module.
    #[error("cargo built {} but named no .wasm file; is it a library crate", .0.display())]
    NoModule(PathBuf),
    /// The module could not be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The module is no component.
    #[error("{} is no strategy", .0.display())]
    Component(PathBuf, #[source] ComponentError),
}

impl BuildError {
    /// Returns the reason, for reports.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotACrate(_) => "NotACrate",
            Self::Cargo(..) => "CargoNotFound",
            Self::TargetMissing => "TargetMissing",
            Self::Compile { .. } => "DoesNotCompile",
            Self::NoModule(_) => "NoModule",
            Self::Read(..) => "ModuleUnreadable",
            Self::Component(_, e) => e.reason(),
        }
    }
}

/// The features with which a crate is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Whether the default features are turned off.
    pub no_default: bool,
    /// The names of further features to turn on.
    pub on: Vec<String>,
}

/// Builds the component of the crate in `dir`, a library crate that depends on the SDK, with its default features.
///
/// The module is built in the profile `guest` (that of the crate's workspace, if it defines one), in a target
/// directory of its own: see [`target_dir`]. It never has debug information. Paths of this machine are removed, so the
/// same sources, lock file and toolchain give the same bytes elsewhere.
///
/// # Errors
/// See [`BuildError`].
pub fn build(dir: &Path) -> Result<Vec<u8>, BuildError> {
    build_with(dir, &Features::default())
}

/// Builds as [`build`] does, with other features.
///
/// # Errors
/// See [`BuildError`].
pub fn build_with(dir: &Path, features: &Features) -> Result<Vec<u8>, BuildError> {
    let manifest = dir.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NotACrate(dir.to_owned()));
    }
    let path = module(dir, &manifest, features)?;
    let module = std::fs::read(&path).map_err(|e| BuildError::Read(path, e))?;
    component_bytes(&module).map_err(|e| BuildError::Component(dir.to_owned(), e))
}

/// Returns the target directory of guests: `guests` in the target directory of the running program. With a directory
/// of its own, a guest's build does not wait for the lock of the build that runs the program.
#[must_use]
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().ok();
    let of_exe = exe.as_deref().and_then(|exe| exe.ancestors().find(|d| d.join("CACHEDIR.TAG").is_file()));
    let of_env = || std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    of_exe.map(Path::to_owned).or_else(of_env).unwrap_or_else(|| PathBuf::from("target")).join("guests")
}

/// Returns the target directory for these features. Cargo builds a guest anew whenever its features are others than those of the
/// build before.
fn target_dir_with(features: &Features) -> PathBuf {
    let mut words = features.on.clone();
    words.extend(features.no_default.then(|| "no-default".to_owned()));
    if words.is_empty() { target_dir() } else { target_dir().join("with").join(words.join("-")) }
}

fn module(dir: &Path, manifest: &Path, features: &Features) -> Result<PathBuf, BuildError> {
    let root = workspace_root(manifest)?;
    let mut cargo = cargo();
    cargo.args(["rustc", "--lib", "--crate-type", "cdylib", "--target", TARGET, "--profile", "guest"]);
    cargo.args(["--message-format", "json-render-diagnostics", "--manifest-path"]).arg(manifest);
    cargo.arg("--target-dir").arg(target_dir_with(features));
    if features.no_default {
        cargo.arg("--no-default-features");
    }
    if !features.on.is_empty() {
        cargo.arg("--features").arg(features.on.join(","));
    }
    if !defines_profile(&root) {
        cargo.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    }
    // These flags are meant for the program that runs the build, and do not fit a guest.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(&root));
    let program = PathBuf::from(cargo.get_program());
    let output = cargo.output().map_err(|e| BuildError::Cargo(program, e))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(match lacks_target(&stderr) {
            true => BuildError::TargetMissing,
            false => BuildError::Compile { dir: dir.to_owned(), stderr },
        });
    }
    let manifest = std::fs::canonicalize(manifest).unwrap_or_else(|_| manifest.to_owned());
    let messages = String::from_utf8_lossy(&output.stdout);
    let module = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|m| {
        let of_crate =
            m["reason"] == "compiler-artifact" && m["manifest_path"] == *manifest.to_string_lossy();
        let files = m["filenames"].as_array().filter(|_| of_crate)?;
        files.iter().filter_map(Value::as_str).find(|f| f.ends_with(".wasm")).map(PathBuf::from)
    });
    module.ok_or_else(|| BuildError::NoModule(dir.to_owned()))
}

/// Whether the compiler reports that the standard library of the target is missing.
fn lacks_target(stderr: &str) -> bool {
    let no_std = ["core", "std"].iter().any(|c| stderr.contains(&format!("can't find crate for `{c}`")));
    no_std && stderr.contains(TARGET)
}

/// Returns the cargo that runs this program, so that the same toolchain is used.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Returns the folder of the crate's workspace.
fn workspace_root(manifest: &Path) -> Result<PathBuf, BuildError> {
    let mut cargo = cargo();
    cargo
        .args(["locate-project", "--workspace", "--message-format", "plain", "--manifest-path"])
        .arg(manifest);
    let program = PathBuf::from(cargo.get_program());
    let output = cargo.output().map_err(|e| BuildError::Cargo(program, e))?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(path.parent().unwrap_or(Path::new(".")).to_owned())
}

fn defines_profile(root: &Path) -> bool {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line.trim() == "[profile.guest]")
}

/// Linear memory that a component has from the start beside its data and stack, in bytes. A call of usual size needs no more: each
/// growth is two calls of the host's kernel, one when it grows and one when the next call begins with less.
const INITIAL_HEAP: u32 = 512 << 10;

/// Returns the compiler's flags. Panic messages name source files, so paths of this machine are removed from them. The
/// crate `sha2` uses its smallest implementation. Indexes and addresses of the module are stored in as few bytes as
/// possible instead of five, which saves some seven percent; debug information would no longer match, and is removed. Functions
/// that are little more than their call are inlined, which is otherwise left undone for size: a twelfth less work for a
/// fortieth more code.
fn flags(root: &Path) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=", root.display())];
    flags.push("--cfg=sha2_backend_soft=\"compact\"".to_owned());
    flags.push("-Clink-args=--strip-debug --compress-relocations".to_owned());
    flags.push(format!("-Clink-args=--initial-heap={INITIAL_HEAP}"));
    flags.push("-Cllvm-args=-inline-threshold=20".to_owned());
    flags.extend(home.map(|h| format!("--remap-path-prefix={}=cargo", h.display())));
    flags.join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_without_the_target_is_told_from_a_crate_that_does_not_compile() {
        let toolchain = "error[E0463]: can't find crate for `core`\n  |\n  = note: the `wasm32-unknown-unknown` \
                         target may not be installed\n";
        assert!(lacks_target(toolchain));
        assert!(!lacks_target("error[E0463]: can't find crate for `serde`\n"));
        let remedy = BuildError::TargetMissing.to_string();
        assert!(remedy.contains("rustup target add wasm32-unknown-unknown"), "{remedy}");
    }
}
