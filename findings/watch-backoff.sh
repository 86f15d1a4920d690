#!/usr/bin/env bash
# A watch of kube-runtime whose list is refused is tried again about once a second for ever.
#
# Packages: kube 5.0.0 (runtime), k8s-openapi 0.29.0, tokio 1.54. Seen 2026-11-30.
#
# Expected: with `default_backoff` the pauses between failures grow, from 0.8 s to 30 s and more.
# Seen: they do not grow. Each try begins with the event `Init`, which is no error, and sets the backoff back before the list is
#   asked for. Forty failures come within the first minute, by the clock of tokio.
# What follows for a controller: a backoff of one's own where a kind may be missing for long, which only an event other than
#   `Init` sets back (Backstay: host/src/informers/interruptions.rs).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "watch-backoff"
version = "0.1.0"
edition = "2024"
[dependencies]
kube = { version = "=5.0.0", default-features = false, features = ["client", "runtime"] }
k8s-openapi = { version = "=0.29.0", default-features = false, features = ["std", "v1_34"] }
tokio = { version = "=1.54.1", features = ["macros", "rt", "test-util", "time"] }
tower = { version = "0.5", features = ["util"] }
http = "1"
futures = "0.3"
TOML
cat >"$work/src/main.rs" <<'RUST'
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::client::{Body, ClientBuilder};
use kube::runtime::{WatchStreamExt, watcher};

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let refuses = tower::service_fn(|_: http::Request<Body>| async {
        let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no such kind","reason":"NotFound","code":404}"#;
        let answer = http::Response::builder().status(404).body(Body::from(status.as_bytes().to_vec()));
        Ok::<_, std::io::Error>(answer.unwrap())
    });
    let client = ClientBuilder::new(refuses, "default").build();
    let pods = kube::Api::<Pod>::all(client);
    let began = tokio::time::Instant::now();
    let mut failures = Vec::new();
    let mut events = watcher(pods, watcher::Config::default()).default_backoff().boxed();
    while failures.len() < 40 {
        if events.next().await.unwrap().is_err() {
            failures.push(began.elapsed().as_secs_f64());
        }
    }
    let longest = failures.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    println!("40 failures within a minute: {}", failures[39] < 60.0);
    println!("no pause of 3 seconds: {}", longest < 3.0);
    eprintln!("the last after {:.1} s, the longest pause {longest:.1} s", failures[39]);
}
RUST
(cd "$work" && CARGO_TARGET_DIR=$work/target cargo run -q) >"$work/seen.txt"
cat "$work/seen.txt"

diff "$work/seen.txt" - <<'SEEN'
40 failures within a minute: true
no pause of 3 seconds: true
SEEN
echo "as described"
