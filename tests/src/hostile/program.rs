//! The controller as a process of its own, and a watch over it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the process is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// How long a probe waits for an answer, as a kubelet does by default.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a start may take here; what the start takes is judged later.
const START_TIMEOUT: Duration = Duration::from_secs(45);

/// How to start the controller.
pub(super) struct Start {
    pub kubeconfig: PathBuf,
    pub components: PathBuf,
}

/// A running controller; dropping it kills it.
pub(super) struct Program {
    child: Child,
    address: SocketAddr,
    /// Time from the start to ready.
    pub ready_after: Duration,
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    watch: Option<JoinHandle<()>>,
}

/// What the watch over a process has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Number of probes.
    pub probes: usize,
    /// Probes of `/readyz` that were not answered by 200 in time, with the time since the watch began.
    pub unready: Vec<(Duration, String)>,
    /// The slowest answer.
    pub slowest: Duration,
}

impl Start {
    /// Starts the controller, and waits until it is ready.
    pub(super) fn start(&self) -> Result<Program, String> {
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| e.to_string())?;
        // The program is beside the folder of this test.
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let program = program.parent().ok_or("this test is in no folder")?.with_file_name("backstay");
        let began = Instant::now();
        let child = Command::new(&program)
            .args(["run", "--http-bind", &address.to_string(), "--recheck", "10s", "--job-ttl", "1h"])
            .args(["--wait-deadline", "5m", "--run-deadline", "10m", "--log", "warn,kube=off"])
            .args(crate::controller::UNGUARDED.iter().flat_map(|name| ["--allow-unguarded", name]))
            .arg("--components")
            .arg(&self.components)
            .arg("--code-cache")
            .arg(backstay_testing::target_dir().join("test-code-cache"))
            .env("KUBECONFIG", &self.kubeconfig)
            .stdout(Stdio::null())
            .stderr(log().map_or_else(|_| Stdio::null(), Stdio::from))
            .spawn()
            .map_err(|e| format!("{} does not start: {e}", program.display()))?;
        let mut program = Program {
            child,
            address,
            ready_after: Duration::ZERO,
            over: Arc::default(),
            seen: Arc::default(),
            watch: None,
        };
        while let Err(error) = probe(address) {
            if let Ok(Some(status)) = program.child.try_wait() {
                return Err(format!("the controller ended before it was ready: {status}"));
            }
            if began.elapsed() > START_TIMEOUT {
                return Err(format!(
                    "the controller is not ready after {} s: {error}",
                    START_TIMEOUT.as_secs()
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        program.ready_after = began.elapsed();
        program.watch = Some(program.watch());
        Ok(program)
    }
}

/// The log of the program, in the temporary directory.
fn log() -> std::io::Result<std::fs::File> {
    std::fs::File::options().create(true).append(true).open(log_path())
}

/// Path of the program's log.
pub(super) fn log_path() -> PathBuf {
    std::env::temp_dir().join("backstay-tests-hostile.log")
}

/// Asks `/readyz`.
fn probe(address: SocketAddr) -> Result<(), String> {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    match ask() {
        Ok(answer) if answer.contains(" 200 ") => Ok(()),
        Ok(answer) => Err(answer.lines().next().unwrap_or_default().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Program {
    /// Probes the controller until it is dropped. A thread of its own: the test's own work does not delay it.
    fn watch(&self) -> JoinHandle<()> {
        let (over, seen, address) = (Arc::clone(&self.over), Arc::clone(&self.seen), self.address);
        std::thread::spawn(move || {
            let began = Instant::now();
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answer = probe(address);
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.probes += 1;
                seen.slowest = seen.slowest.max(asked.elapsed());
                if let Err(error) = answer {
                    seen.unready.push((began.elapsed(), error));
                }
                drop(seen);
                std::thread::sleep(EVERY);
            }
        })
    }

    /// Returns what the watch has seen so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns resident memory and its peak, in bytes; 0 if the process has ended.
    pub(super) fn memory(&self) -> (u64, u64) {
        let status = Path::new("/proc").join(self.child.id().to_string()).join("status");
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
        };
        (bytes("VmRSS:"), bytes("VmHWM:"))
    }

    /// Returns the processor time that the process has taken, in seconds.
    pub(super) fn processor(&self) -> f64 {
        let stat = Path::new("/proc").join(self.child.id().to_string()).join("stat");
        let stat = std::fs::read_to_string(stat).unwrap_or_default();
        // Behind the name, which ends with the last parenthesis; in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok()).unwrap_or_default();
        f64::from(ticks(11) + ticks(12)) / 100.0
    }

    /// Returns the lowest resident memory of a while in which it does not grow any more.
    pub(super) async fn settled_memory(&self, most: Duration) -> u64 {
        let until = Instant::now() + most;
        let mut every = tokio::time::interval(Duration::from_secs(1));
        let (mut last, mut same) = (u64::MAX, 0);
        while same < 3 && Instant::now() < until {
            every.tick().await;
            let (now, _) = self.memory();
            same = if now.abs_diff(last) < 500_000 { same + 1 } else { 0 };
            last = now;
        }
        last
    }
}

impl Program {
    /// Kills the controller, and waits for its end.
    pub(super) fn kill(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        // If it has ended by itself, its end shows in the probes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
