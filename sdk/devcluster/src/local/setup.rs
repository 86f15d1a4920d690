//! The view of a container: what is mounted where, made by a shell script in namespaces of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::image::Root;
use super::plan::Plan;

/// The programs of the machine that the node uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tools {
    /// Where they are looked for.
    pub(super) path: String,
    /// `unshare` of util-linux.
    pub(super) unshare: PathBuf,
    /// `nsenter` of util-linux.
    pub(super) nsenter: PathBuf,
    /// `setsid` of util-linux.
    pub(super) setsid: PathBuf,
    /// `setpriv` of util-linux.
    pub(super) setpriv: PathBuf,
    /// A POSIX shell.
    pub(super) sh: PathBuf,
}

impl Tools {
    /// Finds them.
    ///
    /// # Errors
    /// One is not there.
    pub(super) fn find() -> std::io::Result<Self> {
        let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let tool = |name: &str| {
            let mut places = folders.iter().map(|folder| Path::new(folder).join(name));
            let missing = || std::io::Error::other(format!("the local node needs the program {name}"));
            places.find(|place| place.is_file()).ok_or_else(missing)
        };
        for name in ["mount", "findmnt", "readlink", "mkdir", "cp", "cat", "ln"] {
            tool(name)?;
        }
        Ok(Self {
            path: folders.join(":"),
            unshare: tool("unshare")?,
            nsenter: tool("nsenter")?,
            setsid: tool("setsid")?,
            setpriv: tool("setpriv")?,
            sh: tool("sh")?,
        })
    }
}

/// A folder or file of the machine that a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bind {
    /// What.
    pub(super) source: PathBuf,
    /// Where.
    pub(super) path: String,
    /// Whether nothing may be written.
    pub(super) read_only: bool,
}

/// Why a container did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its view could not be made.
    View(String),
    /// Its command is not there.
    Command(String),
}

const SCRIPT: &str = include_str!("setup.sh");

/// Makes the view of a container under `base`, and returns the process that holds it.
///
/// # Errors
/// It cannot be made, or the container's command is not in it.
pub(super) async fn setup(tools: &Tools, base: &Path, plan: &Plan, binds: &[Bind]) -> Result<Child, Failure> {
    let image = match &plan.root {
        Root::Host => "".into(),
        Root::Folder(folder) => folder.clone(),
    };
    let flag = |read_only: bool| if read_only { "ro" } else { "rw" };
    let mut command = Command::new(&tools.setsid);
    command.arg(&tools.unshare).args([
        "--user",
        "--map-root-user",
        "--mount",
        "--uts",
        "--propagation=private",
    ]);
    command.arg(&tools.sh).args(["-c", SCRIPT, "setup"]).arg(base).arg(image).arg(&plan.hostname);
    command.args([
        if plan.root == Root::Host { "host" } else { "image" },
        flag(plan.read_only),
        &plan.directory,
    ]);
    command
        .args(plan.command.first())
        .arg(plan.environment.get("PATH").map_or("/usr/bin:/bin", String::as_str));
    for bind in binds {
        command.arg(&bind.source).args([&bind.path, flag(bind.read_only)]);
    }
    command.env_clear().env("PATH", &tools.path).env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |error: std::io::Error| Failure::View(error.to_string());
    let mut holder = command.spawn().map_err(failed)?;
    let (Some(said), Some(mut trouble)) = (holder.stdout.take(), holder.stderr.take()) else {
        return Err(Failure::View("no pipe to the script".to_owned()));
    };
    match BufReader::new(said).lines().next_line().await.map_err(failed)? {
        Some(word) if word == "ready" => Ok(holder),
        Some(why) => Err(Failure::Command(why)),
        None => {
            let mut why = String::new();
            trouble.read_to_string(&mut why).await.map_err(failed)?;
            Err(Failure::View(why.trim().to_owned()))
        }
    }
}
