# shellcheck shell=bash
# The cluster's own network, mount and process namespaces. They hang on one process, whose end is the end of them all;
# nothing is given a name in the machine's network namespace or mounts.

create_namespaces() {
  # A session of its own, and no file of the caller's: the cluster outlives the terminal or CI step that started it.
  setsid unshare --mount --net --pid --fork --kill-child bash "$HERE/lib/init" "$STATE" "$BUILD" \
    </dev/null >"$STATE/log/init.log" 2>&1 {LOCK_FD}>&- &
  local unshare=$! deadline=$((SECONDS + 20))
  until [[ -e $STATE/init.ready ]]; do
    if ! kill -0 "$unshare" 2>/dev/null || ! before "$deadline"; then
      show_tail "$STATE/log/init.log" 20
      die "could not make the namespaces of cluster $NAME"
    fi
    sleep 0.05
  done
}

# init_pid: prints process 1 of the cluster as the machine numbers it; fails if it does not run.
init_pid() {
  local pid started stat
  read -r pid started 2>/dev/null <"$STATE/init" || return 1
  read -r -a stat 2>/dev/null <"/proc/$pid/stat" || return 1
  [[ ${stat[21]} == "$started" && ${stat[2]} != Z ]] || return 1
  echo "$pid"
}

# inside CMD…: runs CMD as the cluster's programs run, with their files, processes and network.
inside() {
  local pid
  pid=$(init_pid) || die "cluster $NAME is not running"
  nsenter --target "$pid" --mount --net --pid -- \
    env -i HOME=/root PATH=/run/build/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# destroy_namespaces: ends every process of the cluster, and returns when they are gone.
destroy_namespaces() {
  local pid deadline=$((SECONDS + 30))
  for pid in $(running_inits); do
    kill -KILL "$pid" 2>/dev/null || true
    while [[ -d /proc/$pid ]]; do
      before "$deadline" || die "process $pid of cluster $NAME does not end"
      sleep 0.05
    done
  done
}

# running_inits: process 1 of this cluster as init_pid prints it, but found by the arguments of its parent, so that a
# cluster can be stopped whose state folder someone has deleted.
running_inits() {
  local file words parent
  for file in /proc/[0-9]*/cmdline; do
    mapfile -d '' -t words 2>/dev/null <"$file" || continue
    [[ ${words[0]:-} == unshare && ${#words[@]} -gt 2 && ${words[-2]} == "$STATE" ]] || continue
    parent=$(basename "$(dirname "$file")")
    cat "/proc/$parent/task/$parent/children"
  done
}

# The folders of the pods' control groups: in every hierarchy of version 1, or in the one of version 2.
cgroup_folders() {
  local root
  if has_cgroup_v2; then
    echo "/sys/fs/cgroup/backstay-$NAME"
    return
  fi
  for root in /sys/fs/cgroup/*/; do
    [[ ! -e $root/cgroup.procs ]] || echo "${root}backstay-$NAME"
  done
}

has_cgroup_v2() {
  [[ $(stat --file-system --format %T /sys/fs/cgroup) == cgroup2fs ]]
}

create_cgroups() {
  local folder controller
  for folder in $(cgroup_folders); do
    mkdir -p "$folder"
  done
  # The kubelet wants every controller of the machine in its group, and gives them on to the pods itself.
  if has_cgroup_v2; then
    for controller in $(</sys/fs/cgroup/cgroup.controllers); do
      echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || say "no control group limits of $controller"
    done
  fi
}

# A group cannot be removed while the kernel still accounts for a process that has just ended.
remove_cgroups() {
  local folder deadline=$((SECONDS + 10))
  for folder in $(cgroup_folders); do
    while [[ -d $folder ]] && ! find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null; do
      before "$deadline" || die "control group $folder of cluster $NAME is still in use"
      sleep 0.1
    done
  done
}
