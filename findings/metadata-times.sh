#!/usr/bin/env bash
# Times that Kubernetes stores in `metadata` and that a Rust client cannot read back.
#
# Packages: k8s.io/apimachinery v0.34.4 (what kube-apiserver reads and writes times with), k8s-openapi 0.29.0 with
# jiff 0.2.46 (the type of every time in kube 5). Seen 2026-11-30.
#
# Expected: both sides read RFC 3339, so both take the same times.
# Seen: a time after 9999-12-30T22:00:00Z, and a fraction of ten digits, are read by Go and refused by Rust. A client may
#   write both into `metadata.managedFields[].time`; then no typed read of that object decodes any more, by anybody who
#   uses these crates. The other way round Go writes its zero time, year 1, as `null`; Rust reads and writes it as a time.
# What follows for a controller: leave managedFields out of what it decodes (Backstay: `Metadata` in
#   host/src/cluster/partial.rs), and treat a time of a spec that does not decode as an error of that object alone.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

mkdir -p "$work/rust/src" "$work/go"
cat >"$work/times" <<'TIMES'
2026-01-01T00:00:00Z
9999-12-30T22:00:00Z
9999-12-30T22:00:01Z
9999-12-31T23:59:59Z
2026-01-01T00:00:00.123456789Z
2026-01-01T00:00:00.1234567891Z
0001-01-01T00:00:00Z
TIMES

cat >"$work/rust/Cargo.toml" <<'TOML'
[package]
name = "times"
version = "0.1.0"
edition = "2024"
[dependencies]
k8s-openapi = { version = "=0.29.0", default-features = false, features = ["std", "v1_34"] }
jiff = "=0.2.46"
serde_json = "=1.0.154"
TOML
cat >"$work/rust/src/main.rs" <<'RUST'
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
fn main() {
    for line in std::io::stdin().lines() {
        let text = line.unwrap();
        let json = serde_json::to_string(&text).unwrap();
        match serde_json::from_str::<Time>(&json) {
            Ok(time) => println!("{text} {}", serde_json::to_string(&time).unwrap()),
            Err(_) => println!("{text} refused"),
        }
    }
}
RUST
cat >"$work/go/go.mod" <<'MOD'
module times

go 1.24

require k8s.io/apimachinery v0.34.4
MOD
cat >"$work/go/main.go" <<'GO'
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		quoted, _ := json.Marshal(lines.Text())
		var time metav1.Time
		if json.Unmarshal(quoted, &time) != nil {
			fmt.Println(lines.Text(), "refused")
			continue
		}
		written, _ := json.Marshal(time)
		fmt.Println(lines.Text(), string(written))
	}
}
GO

(cd "$work/rust" && cargo run -q) <"$work/times" >"$work/rust.txt"
(cd "$work/go" && GOFLAGS=-mod=mod go run .) <"$work/times" >"$work/go.txt"
echo "k8s-openapi:"; sed 's/^/  /' "$work/rust.txt"
echo "apimachinery:"; sed 's/^/  /' "$work/go.txt"

diff "$work/rust.txt" - <<'RUST'
2026-01-01T00:00:00Z "2026-01-01T00:00:00Z"
9999-12-30T22:00:00Z "9999-12-30T22:00:00Z"
9999-12-30T22:00:01Z refused
9999-12-31T23:59:59Z refused
2026-01-01T00:00:00.123456789Z "2026-01-01T00:00:00Z"
2026-01-01T00:00:00.1234567891Z refused
0001-01-01T00:00:00Z "0001-01-01T00:00:00Z"
RUST
diff "$work/go.txt" - <<'GO'
2026-01-01T00:00:00Z "2026-01-01T00:00:00Z"
9999-12-30T22:00:00Z "9999-12-30T22:00:00Z"
9999-12-30T22:00:01Z "9999-12-30T22:00:01Z"
9999-12-31T23:59:59Z "9999-12-31T23:59:59Z"
2026-01-01T00:00:00.123456789Z "2026-01-01T00:00:00Z"
2026-01-01T00:00:00.1234567891Z "2026-01-01T00:00:00Z"
0001-01-01T00:00:00Z null
GO
echo "as described"
