//! A container: a process in the view that was made for it, and everything that it starts.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::hidden::hidden;
use super::logs;
use super::plan::Plan;
use super::probe::Inside;
use super::setup::{Bind, Failure, Tools, setup};

/// A container that was started. Dropped, it is killed with all of its processes.
pub(super) struct Running {
    process: Child,
    holder: Child,
    log: JoinHandle<bool>,
}

/// Starts a container whose view is made under `base` and whose output goes to the file `log`.
///
/// # Errors
/// Its view cannot be made, or its command is not there.
pub(super) async fn start(
    tools: &Tools,
    base: &Path,
    plan: &Plan,
    binds: &[Bind],
    log: &Path,
) -> Result<Running, Failure> {
    let failed = |error: std::io::Error| Failure::View(error.to_string());
    let record = logs::Writer::create(log).map_err(failed)?;
    let mut holder = setup(tools, base, plan, binds).await?;
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let reader = Receiver::from_owned_fd(reader.into()).map_err(failed)?;
    let mut command = command(tools, base, plan, &holder);
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let process = command.spawn().map_err(failed)?;
    // The pipe ends when the container's processes have.
    drop(command);
    if let (Some(pipe), Some(id)) = (&mut holder.stdin, process.id()) {
        pipe.write_all(format!("{id}\n").as_bytes()).await.map_err(failed)?;
    }
    let log = tokio::spawn(async move { logs::copy(reader, &record).await });
    Ok(Running { process, holder, log })
}

fn command(tools: &Tools, base: &Path, plan: &Plan, holder: &Child) -> Command {
    let mut command = Command::new(&tools.setsid);
    if !plan.escalation {
        command.arg(&tools.setpriv).arg("--no-new-privs");
    }
    command.arg(&tools.nsenter).args(["--user", "--mount", "--uts", "--preserve-credentials"]);
    command.arg(format!("--target={}", holder.id().unwrap_or_default())).arg("--");
    command.arg(&tools.unshare).args([
        "--user",
        "--uts",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount",
        "--mount-proc",
    ]);
    command.args([format!("--map-user={}", plan.user), format!("--map-group={}", plan.group)]);
    command.arg(format!("--root={}", base.join("root").display())).arg(format!("--wd={}", plan.directory));
    let (words, variables) = hidden(plan, &plan.command);
    command.arg("--").args(words).env_clear().envs(variables).current_dir("/");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Running {
    /// Waits until its process has ended and all others with it, and returns the exit code: 128 and the signal if one ended it.
    /// It may be dropped while it waits.
    pub(super) async fn ended(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = self.process.wait().await;
        drop(self.holder.start_kill());
        drop(self.holder.wait().await);
        let killed = (&mut self.log).await.unwrap_or_default();
        match status {
            Ok(_) if killed => 128 + Signal::KILL.as_raw(),
            Ok(status) => status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255),
            Err(_) => 255,
        }
    }

    /// What is needed to run commands in it.
    pub(super) fn inside(&self, tools: &Tools, plan: &Plan) -> Inside {
        let process = self.process.id().unwrap_or_default();
        Inside { nsenter: tools.nsenter.clone(), process, plan: plan.clone() }
    }

    /// Asks its first process to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends its first process, and all others with it.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let Some(id) = self.process.id() else { return };
        let target = first_process(id).or_else(|| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(target) = target {
            let _ = kill_process(target, signal);
        }
    }
}

/// Returns the first process of a container. What was started for it is `unshare`, which waits for that process.
pub(super) fn first_process(started: u32) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{started}/task/{started}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::local::Root;

    /// A folder of a test; gone at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("devcluster-run-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a folder");
            Self(path.canonicalize().expect("it is there"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn plan(script: &str) -> Plan {
        Plan {
            root: Root::Host,
            read_only: false,
            command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            environment: BTreeMap::from([
                ("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
                ("A.b".to_owned(), "1".to_owned()),
            ]),
            directory: "/work dir".to_owned(),
            hostname: "pod-1".to_owned(),
            user: 1234,
            group: 77,
            escalation: false,
            mounts: Vec::new(),
            message: "/dev/termination-log".to_owned(),
        }
    }

    /// Runs a container to its end and returns its exit code and what it said.
    async fn run(folder: &Folder, plan: &Plan, binds: &[Bind]) -> (i32, String) {
        let tools = Tools::find().expect("util-linux");
        let log = folder.0.join("log");
        let mut running = start(&tools, &folder.0.join("base"), plan, binds, &log).await.expect("it starts");
        let code = running.ended().await;
        let said = logs::read(&log, &logs::Wanted::default()).expect("a log");
        (code, String::from_utf8_lossy(&said).into_owned())
    }

    #[tokio::test]
    async fn a_container_has_its_own_processes_user_name_folder_and_variables() {
        let folder = Folder::new("own");
        let script = "echo $$ $(id -u) $(id -g) $(hostname) \"$PWD\"; tr '\\0' '\\n' < /proc/1/environ | grep b=; cat /proc/1/comm; exit 3";
        let (code, said) = run(&folder, &plan(script), &[]).await;
        assert_eq!((code, said.as_str()), (3, "1 1234 77 pod-1 /work dir\nA.b=1\nsh\n"));
    }

    #[tokio::test]
    async fn what_it_writes_is_its_own_but_for_volumes() {
        let folder = Folder::new("writes");
        let bind = |name: &str, path: &str, read_only| {
            let source = folder.0.join(name);
            std::fs::create_dir_all(&source).expect("a folder");
            std::fs::write(source.join("f"), name).expect("a file");
            Bind { source, path: path.to_owned(), read_only }
        };
        let mut binds = vec![bind("data", "/data/deep", false), bind("shut", "/var/run/secrets/x", true)];
        binds.push(Bind {
            source: folder.0.join("data/f"),
            path: "/usr/share/none/file".to_owned(),
            read_only: true,
        });
        let script = "cat /data/deep/f /run/secrets/x/f /usr/share/none/file; echo new > /data/deep/g; echo x > /tmp/x
            echo x > /new; (echo x > /var/run/secrets/x/g) 2>/dev/null || echo shut; ls -A /tmp /home; touch /usr/bin/zz; : > /dev/stdout; echo end";
        let (code, said) = run(&folder, &plan(script), &binds).await;
        assert!(said.starts_with("datashutdatashut\n/home:\n\n/tmp:\nx\n"), "{code} {said}");
        assert!(said.ends_with("end\n"), "{code} {said}");
        assert_eq!(std::fs::read_to_string(folder.0.join("data/g")).expect("written"), "new\n");
        assert!(!Path::new("/usr/bin/zz").exists() && !Path::new("/new").exists());
    }

    /// Puts the machine's shell, and nothing else, into a folder.
    fn image(folder: &Path) {
        let found = std::process::Command::new("ldd").arg("/bin/sh").output().expect("ldd").stdout;
        let found = String::from_utf8(found).expect("text");
        for file in found.split_whitespace().filter(|word| word.starts_with('/')).chain(["/bin/sh"]) {
            let copy = folder.join(file.trim_start_matches('/'));
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
            std::fs::copy(file, copy).expect("a copy");
        }
    }

    #[tokio::test]
    async fn an_image_is_a_folder_that_stays_as_it_is() {
        let folder = Folder::new("image");
        let root = folder.0.join("image");
        image(&root);
        let mut plan = plan("echo x > /bin/new; echo /bin/* /mnt/deep/*; echo no > /mnt/deep/g");
        plan.root = Root::Folder(root.clone());
        let data = folder.0.join("data");
        std::fs::create_dir_all(&data).expect("a folder");
        std::fs::write(data.join("f"), "").expect("a file");
        let bind = Bind { source: data, path: "/mnt/deep".to_owned(), read_only: true };
        let (code, said) = run(&folder, &plan, &[bind]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.starts_with("/bin/new /bin/sh /mnt/deep/f\n"), "{said}");
        assert!(!root.join("bin/new").exists() && !root.join("mnt").exists());
    }

    #[tokio::test]
    async fn nothing_can_be_written_beside_its_volumes_if_it_says_so() {
        let folder = Folder::new("shut");
        let mut plan =
            plan("for f in /x /tmp/x /etc/x /usr/x; do (: > $f) 2>/dev/null && echo $f; done; exit 0");
        plan.read_only = true;
        assert_eq!(run(&folder, &plan, &[]).await, (0, String::new()));
    }

    #[tokio::test]
    async fn variables_of_the_loader_reach_its_command_and_no_program_of_the_machine() {
        let folder = Folder::new("loader");
        let mut plan = plan("");
        plan.command = vec!["cat".to_owned(), "/proc/self/environ".to_owned()];
        plan.environment.remove("A.b");
        for (name, value) in [("LD_PRELOAD", "/no/such.so"), ("LC_ALL", "C"), ("B", "a \"$b\"")] {
            plan.environment.insert(name.to_owned(), value.to_owned());
        }
        let (code, said) = run(&folder, &plan, &[]).await;
        let (warnings, rest): (Vec<_>, Vec<_>) =
            said.lines().partition(|line| line.contains("cannot be preloaded"));
        // Only the command's own loader does not find it.
        assert_eq!((code, warnings.len()), (0, 1), "{said}");
        let rest = rest.concat();
        let mut variables: Vec<&str> = rest.split_terminator('\0').collect();
        variables.sort_unstable();
        let wanted: Vec<String> =
            plan.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(variables, wanted);
    }

    #[test]
    fn an_image_without_a_shell_cannot_have_them_nor_can_who_has_names_that_shells_drop() {
        let folder = Folder::new("no-shell");
        let (root, mut plan) = (Root::Folder(folder.0.clone()), plan(""));
        let impossible = |environment: &BTreeMap<String, String>| {
            super::super::hidden::impossible(&root, environment).map(str::to_owned)
        };
        plan.environment.insert("LC_ALL".to_owned(), "C".to_owned());
        plan.environment.remove("A.b");
        assert_eq!(impossible(&plan.environment), None);
        plan.environment.insert("LD_PRELOAD".to_owned(), "x".to_owned());
        assert_eq!(impossible(&plan.environment).as_deref(), Some("LD_PRELOAD"));
        std::fs::create_dir(folder.0.join("bin")).expect("a folder");
        std::os::unix::fs::symlink("/bin/tools", folder.0.join("bin/sh")).expect("a link");
        assert_eq!(impossible(&plan.environment), None);
        plan.environment.insert("A.b".to_owned(), "1".to_owned());
        assert_eq!(impossible(&plan.environment).as_deref(), Some("LD_PRELOAD"));
    }

    #[tokio::test]
    async fn signals_end_it_with_all_of_its_processes() {
        let folder = Folder::new("signals");
        let tools = Tools::find().expect("util-linux");
        let log = folder.0.join("log");
        for (script, how, code) in [
            (
                "trap 'exit 143' TERM; echo up > /sign; sleep 1000 & wait",
                Running::terminate as fn(&Running),
                143,
            ),
            ("sleep 1000 & echo up > /sign; wait", Running::kill, 137),
        ] {
            let sign = folder.0.join("sign");
            assert!(std::process::Command::new("mkfifo").arg(&sign).status().expect("mkfifo").success());
            let binds = [Bind { source: sign.clone(), path: "/sign".to_owned(), read_only: false }];
            let mut running =
                start(&tools, &folder.0.join("base"), &plan(script), &binds, &log).await.expect("it starts");
            tokio::fs::read(&sign).await.expect("it is up");
            how(&running);
            assert_eq!(running.ended().await, code);
            std::fs::remove_file(&sign).expect("it is there");
        }
    }

    #[tokio::test]
    async fn a_signal_that_ends_it_is_in_the_exit_code() {
        let folder = Folder::new("segv");
        assert_eq!(run(&folder, &plan("sh -c 'kill -SEGV $$'; exit $?"), &[]).await.0, 139);
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_said() {
        let folder = Folder::new("absent");
        let tools = Tools::find().expect("util-linux");
        for (command, why) in [
            ("no-such", "exec: \"no-such\": executable file not found in $PATH"),
            ("/no/such", "exec: \"/no/such\": stat /no/such: no such file or directory"),
            ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
        ] {
            let mut plan = plan("");
            plan.command = vec![command.to_owned()];
            let failure = start(&tools, &folder.0.join("base"), &plan, &[], &folder.0.join("log")).await;
            assert_eq!(failure.err(), Some(Failure::Command(why.to_owned())));
        }
    }
}
