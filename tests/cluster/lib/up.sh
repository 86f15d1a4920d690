# shellcheck shell=bash
# Starting a cluster.

up() {
  if uses_given_cluster; then check_given_cluster; return; fi
  require_root
  install_packages
  build
  [[ -z $WITH_SERVICES ]] || build_services
  lock "$NAME"
  if healthy; then
    [[ -e $STATE/audit || ${BACKSTAY_AUDIT:-0} != 1 ]] ||
      die "cluster $NAME is up without an audit log: take it down first"
    [[ -z $WITH_SERVICES ]] || with_services || die "cluster $NAME is up without services: take it down first"
    [[ -z $VOLUME_OWNER || $(stat --format %u "$STATE/volumes") == "$VOLUME_OWNER" ]] ||
      die "cluster $NAME is up with volumes of another user: take it down first"
    say "cluster $NAME is up already"
  else
    remove_cluster # whatever is left of an earlier one
    start_cluster
    say "cluster $NAME is up"
  fi
  show_how_to_use
}

# The order is the order of need. Whatever only waits for something else is started before the wait.
start_cluster() {
  say "starting cluster $NAME in $STATE"
  mkdir -p "$STATE/log"
  chmod 700 "$STATE"
  cp -r "$HERE/config" "$STATE/config" # the checkout may lie under a path that is covered inside
  [[ ${BACKSTAY_AUDIT:-0} != 1 ]] || touch "$STATE/audit"
  [[ -z $WITH_SERVICES ]] || mkdir "$STATE/services"
  ln -s "$BUILD/bin" "$STATE/bin"
  make_certificates
  create_cgroups
  create_namespaces

  start_etcd
  start_kube_apiserver
  start_containerd
  wait_for 60 "containerd answers" containerd -- inside ctr --connect-timeout 1s version
  import_images "$BUILD"/images/*.tar
  wait_for 120 "API server ready" kube-apiserver etcd -- admin get --raw /readyz
  start_kube_controller_manager
  start_kube_scheduler
  start_kubelet
  wait_for 30 "objects applied" kube-apiserver -- admin apply -f "$HERE/config/objects.yaml"
  ! with_services || start_services
  wait_for 90 "node ready" kubelet containerd kube-apiserver -- node_ready
  wait_for 60 "service account of namespace default" kube-controller-manager kube-apiserver -- \
    admin get serviceaccount default
}

# Whether pods can be placed: the node is ready, and the controller manager has taken its first taint away. Prints why
# not.
node_ready() {
  local taints message
  taints=$(admin get node "$NODE_NAME" -o 'jsonpath={.spec.taints}') || return 1
  message=$(admin get node "$NODE_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")]}') || return 1
  [[ -z $taints && $message == *'"status":"True"'* ]] || { echo "$taints $message"; return 1; }
}

import_images() {
  local archive
  for archive in "$@"; do
    inside ctr --namespace k8s.io images import - <"$archive" >>"$STATE/log/images.log" 2>&1 || {
      show_tail "$STATE/log/images.log" 10
      die "could not import the image archive $archive"
    }
  done
}

# load_images ARCHIVE…: for images that tests make.
load_images() {
  ! uses_given_cluster || die "cannot load images into a cluster that is not ours"
  [[ $# -gt 0 ]] || die "load: name at least one image archive"
  import_images "$@"
}

# wait_for SECONDS WHAT COMPONENT… -- CMD…: until CMD succeeds. Fails at once when one of the components has ended, with
# its log, and when the time is over, with the log of the first.
wait_for() {
  local limit=$1 what=$2 components=() component deadline
  shift 2
  while [[ $1 != -- ]]; do components+=("$1"); shift; done
  shift
  deadline=$((SECONDS + limit))
  until "$@" >"$STATE/log/wait.log" 2>&1; do
    for component in "${components[@]}"; do
      component_pid "$component" >/dev/null || fail_start "$component" "$component ended while waiting for: $what"
    done
    before "$deadline" || fail_start "${components[0]}" "not within $limit s: $what"
    sleep 0.2
  done
  say "$what"
}

# fail_start COMPONENT MESSAGE
fail_start() {
  show_tail "$STATE/log/wait.log" 5
  show_tail "$STATE/log/$1.log" 15
  die "$2 (all logs: $STATE/log; what is left is removed by the next up, or by down)"
}

show_how_to_use() {
  cat <<TEXT
kubeconfig:    $STATE/kubeconfig
as controller: $STATE/backstay.kubeconfig (user backstay, rights by RBAC only)
run in it:     $HERE/cluster exec --name $NAME -- kubectl get pods --all-namespaces
TEXT
}
