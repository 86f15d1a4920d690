#!/usr/bin/env bash
# How kubectl reads YAML where the standard says otherwise.
#
# Packages: k8s.io/apimachinery v0.34.1 with sigs.k8s.io/yaml v1.6.0 (what kubectl and every Go controller read files with).
# Seen 2026-11-30.
#
# Expected: 1. a line `...` ends a document, and what follows is the next one, with `---` before it or without. 2. a key of a
#   map's own wins over one that it merges, wherever the merge stands. 3. the keys `y` and `n` are texts.
# Seen: 1. without `---`, what follows the line `...` is not read, and nobody is told. 2. a merge that stands behind the own
#   key overrides it. 3. the keys are "true" and "false", also in a ConfigMap's data.
# What follows for a tool that shows what kubectl will do: read with these rules, and warn of the first (Backstay:
#   host/src/cli/yaml.rs, compared with a table of kubectl's own readings).
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

cat >"$work/go.mod" <<'MOD'
module reading

go 1.24

require k8s.io/apimachinery v0.34.1
MOD
cat >"$work/main.go" <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	for _, file := range []string{
		"name: one\n---\nname: two\n",
		"name: one\n...\n---\nname: two\n",
		"name: one\n...\nname: two\n",
		"base: &b {x: merged}\nmap: {<<: *b, x: own}\n",
		"base: &b {x: merged}\nmap: {x: own, <<: *b}\n",
		"data: {y: 1, n: 2, x: 3}\n",
	} {
		decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(file), 4096)
		fmt.Printf("%q\n", file)
		for {
			var object map[string]any
			err := decoder.Decode(&object)
			if err == io.EOF {
				break
			}
			if err != nil {
				fmt.Println("  error:", err)
				break
			}
			text, _ := json.Marshal(object)
			fmt.Println(" ", string(text))
		}
	}
}
GO
(cd "$work" && GOFLAGS=-mod=mod go run .) >"$work/seen.txt" 2>"$work/log.txt" || { cat "$work/log.txt"; exit 1; }
cat "$work/seen.txt"

diff "$work/seen.txt" - <<'SEEN'
"name: one\n---\nname: two\n"
  {"name":"one"}
  {"name":"two"}
"name: one\n...\n---\nname: two\n"
  {"name":"one"}
  {"name":"two"}
"name: one\n...\nname: two\n"
  {"name":"one"}
"base: &b {x: merged}\nmap: {<<: *b, x: own}\n"
  {"base":{"x":"merged"},"map":{"x":"own"}}
"base: &b {x: merged}\nmap: {x: own, <<: *b}\n"
  {"base":{"x":"merged"},"map":{"x":"merged"}}
"data: {y: 1, n: 2, x: 3}\n"
  {"data":{"false":2,"true":1,"x":3}}
SEEN
echo "as described"
