//! The program: probes, metrics, and its shutdown.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backstay_tests::World;

/// Kills the program at the end of a test, even if the test panics.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends one GET; `None` while nobody listens.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

#[tokio::test]
async fn it_serves_probes_and_metrics_and_stops_gracefully_when_told() {
    let Some(_world) = World::new("program").await else { return };
    let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    // Without components the program leaves all runs to the controller of the other tests.
    let folder = std::env::temp_dir().join(format!("backstay-tests-empty-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    // This test is target/debug/deps/cluster-…; the program is two levels up.
    let program =
        std::env::current_exe().expect("this test").parent().expect("deps").with_file_name("backstay");
    let mut program = Program(
        Command::new(program)
            .args(["run", "--http-bind", &address.to_string(), "--components"])
            .arg(&folder)
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs"),
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut every = tokio::time::interval(Duration::from_millis(100));
    while get(address, "/readyz").is_none_or(|answer| !answer.starts_with("HTTP/1.1 200")) {
        assert!(Instant::now() < deadline, "the controller is not ready in time");
        assert!(program.0.try_wait().expect("a state").is_none(), "the controller ended");
        every.tick().await;
    }
    assert!(get(address, "/livez").expect("an answer").starts_with("HTTP/1.1 200"));
    let metrics = get(address, "/metrics").expect("an answer");
    assert!(metrics.contains("# TYPE backstay_component_call_duration_seconds histogram"), "{metrics}");
    assert!(metrics.contains("# EOF"), "{metrics}");

    let pid = program.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    while program.0.try_wait().expect("a state").is_none() {
        assert!(Instant::now() < deadline, "the controller does not stop in time");
        every.tick().await;
    }
    assert!(program.0.wait().expect("a state").success());
}
