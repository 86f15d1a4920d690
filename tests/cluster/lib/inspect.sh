# shellcheck shell=bash
# Using a cluster, and looking at it.

# run_in_cluster CMD…: only the network is the cluster's; files and processes are the machine's. Replaces this process,
# so input, output, signals and exit status are CMD's own.
run_in_cluster() {
  [[ $# -gt 0 ]] || die "exec: name a command"
  if uses_given_cluster; then exec "$@"; fi
  require_root
  local pid
  pid=$(init_pid) || die "cluster $NAME is not running; start it with: $HERE/cluster up --name $NAME"
  # All clusters have the same address, by which kubectl keeps what it learned of an API: each gets its own cache.
  export KUBECONFIG=$STATE/kubeconfig KUBECACHEDIR=$STATE/kubectl PATH=$STATE/bin:$PATH
  exec nsenter --net="/proc/$pid/ns/net" -- "$@"
}

# admin ARGS…: kubectl as the administrator. Bounded, because the API server may be what is broken.
admin() {
  (run_in_cluster kubectl --request-timeout=10s "$@")
}

uses_given_cluster() {
  [[ ${BACKSTAY_USE_CLUSTER:-0} == 1 ]]
}

check_given_cluster() {
  [[ -n ${KUBECONFIG:-} ]] || die "BACKSTAY_USE_CLUSTER=1 needs KUBECONFIG"
  kubectl --request-timeout=10s get --raw /readyz >/dev/null || die "the cluster of KUBECONFIG=$KUBECONFIG does not answer"
  say "using the cluster of KUBECONFIG=$KUBECONFIG"
}

healthy() {
  local component
  for component in $(components); do
    component_pid "$component" >/dev/null || return 1
  done
  { admin get --raw /readyz && node_ready; } >/dev/null 2>&1
}

status() {
  if uses_given_cluster; then check_given_cluster; return; fi
  local component pid memory
  for component in $(components); do
    if pid=$(machine_pid "$component"); then
      memory=$(awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$pid/status")
      printf '%-24s process %-8s %4s MiB\n' "$component" "$pid" "$memory"
    else
      printf '%-24s not running\n' "$component"
    fi
  done
  healthy || { echo "cluster $NAME is not healthy"; return 1; }
  echo "cluster $NAME is healthy: $STATE"
}

# machine_pid COMPONENT: prints its number outside, which kill and strace take.
machine_pid() {
  local inner init candidate
  inner=$(component_pid "$1") && init=$(init_pid) || return 1
  for candidate in $(<"/proc/$init/task/$init/children"); do
    if [[ $(awk '/^NSpid/ {print $NF}' "/proc/$candidate/status" 2>/dev/null) == "$inner" ]]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# logs [COMPONENT]: all of them briefly, or one at length.
logs() {
  [[ -d $STATE/log ]] || die "cluster $NAME has no logs: it is not there"
  if [[ $# -gt 0 ]]; then
    [[ -e $STATE/log/$1.log ]] || die "no log of $1 in $STATE/log"
    tail -n 200 "$STATE/log/$1.log"
    return
  fi
  local file
  for file in "$STATE"/log/*.log; do
    printf '==> %s\n' "$file"
    tail -n 8 "$file" | cut -c 1-400
  done
}
