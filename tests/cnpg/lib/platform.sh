# shellcheck shell=bash
# The cluster and what is in it, for the scripts beside this folder.
# shellcheck disable=SC2034 # they use what is set here

ROOT=$(cd "$CNPG/../.." && pwd)
CLUSTER_NAME=${BACKSTAY_CNPG_CLUSTER:-cnpg}
NODE_ADDRESS=10.99.0.1 S3_PORT=7070 WEBHOOK_PORT=9443
readonly ROOT CLUSTER_NAME NODE_ADDRESS S3_PORT WEBHOOK_PORT
# The keys of the store, which holds nothing but what a test wrote.
readonly S3_KEY=backstay S3_SECRET=backstay-secret S3_BUCKET=backups

started=$(date +%s)
readonly started

now() { date +%s; }
seconds() { echo $(($(now) - started)); }
say() { printf '\n\033[1m[%3ds] %s\033[0m\n' "$(seconds)" "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

cluster() { "$ROOT/tests/cluster/cluster" "$1" --name "$CLUSTER_NAME" "${@:2}"; }
k() { cluster kubectl "$@"; }

# state_folder: prints where the cluster keeps its files, which its programs see as /run/backstay.
state_folder() {
  # shellcheck disable=SC2016 # set inside
  cluster exec -- sh -c 'dirname "$KUBECONFIG"'
}

# listening PORT: whether a program of ours answers there.
listening() { cluster exec -- bash -c "exec 3<>/dev/tcp/$NODE_ADDRESS/$1"; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; shows what it said last if it never does.
wait_for() {
  local deadline=$(($(now) + $1)) what=$2 out
  shift 2
  out=$(mktemp)
  until "$@" >"$out" 2>&1; do
    if (($(now) > deadline)); then
      echo "gave up waiting: $what" >&2
      tail -n 5 "$out" >&2
      rm "$out"
      return 1
    fi
    sleep 0.5
  done
  rm "$out"
}
