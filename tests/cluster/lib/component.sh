# shellcheck shell=bash
# The programs of the cluster and their flags. Each is started by one function, in the order of up.sh. To add one
# write its function here and its line there. What not every cluster has is in services.sh.

readonly -a COMPONENTS=(etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet)
# components: prints those of this cluster, with the programs that its user added.
components() {
  printf '%s\n' "${COMPONENTS[@]}"
  ! with_services || printf '%s\n' "${SERVICE_COMPONENTS[@]}"
  [[ ! -d $STATE/programs ]] || ls "$STATE/programs"
}

# start_program NAME PROGRAM ARGS…: a program of the cluster's user, which ends with the cluster. It sees the state folder
# as /run/backstay. Does nothing if it runs already.
start_program() {
  [[ $# -ge 2 ]] || die "start: give the program a name, and say which it is"
  local name=$1 program=$2
  shift 2
  [[ $name =~ ^[a-z0-9][-a-z0-9]*$ ]] || die "start $name: use only a-z, 0-9 and -"
  lock "$NAME"
  if component_pid "$name" >/dev/null; then return; fi
  mkdir -p "$STATE/programs"
  cp "$program" "$STATE/programs/$name" # where it lies may be covered inside
  start "$name" "/run/backstay/programs/$name" "$@"
}

readonly PKI=/run/backstay/pki CONFIG=/run/backstay/config

# start NAME CMD…: a program of the cluster, with its output in log/NAME.log and its number (inside) in pids/NAME.
start() {
  # shellcheck disable=SC2016 # expanded by the shell inside
  inside bash -c 'setsid "${@:2}" >"/run/backstay/log/$1.log" 2>&1 </dev/null & echo $! >"/run/backstay/pids/$1"' \
    start "$@" {LOCK_FD}>&-
}

# component_pid NAME: prints the number inside; fails if the program was not started or has ended.
component_pid() {
  local pid init
  init=$(init_pid) || return 1
  read -r pid 2>/dev/null <"$STATE/pids/$1" || return 1
  [[ -d /proc/$init/root/proc/$pid ]] || return 1
  echo "$pid"
}

start_etcd() {
  # Losing the store in a crash of the machine costs nothing here; waiting for the disk would.
  start etcd etcd --name=etcd --data-dir=/var/lib/etcd --unsafe-no-fsync --log-level=warn \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
    --initial-cluster=etcd=http://127.0.0.1:2380
}

start_containerd() {
  start containerd containerd --config="$CONFIG/containerd.toml"
}

start_kube_apiserver() {
  local audit=()
  [[ ! -e $STATE/audit ]] ||
    audit=(--audit-policy-file="$CONFIG/audit-policy.yaml" --audit-log-path=/run/backstay/audit.log)
  # The kubelet makes its own serving certificate: no --kubelet-certificate-authority, and any is accepted.
  start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --secure-port=443 --advertise-address="$NODE_ADDRESS" \
    --service-cluster-ip-range=10.96.0.0/16 --allow-privileged=true --authorization-mode=Node,RBAC \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/kube-apiserver.crt" --tls-private-key-file="$PKI/kube-apiserver.key" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$PKI/service-account.pub" --service-account-signing-key-file="$PKI/service-account.key" \
    --kubelet-client-certificate="$PKI/admin.crt" --kubelet-client-key="$PKI/admin.key" \
    --kubelet-preferred-address-types=InternalIP --profiling=false "${audit[@]}"
}

# The limits are far above the defaults, so that a test of many backups measures the controller and not these two. No
# leader election: nobody else is there, and its leases take seconds. No port: nobody asks.
readonly -a UNHURRIED=(--kube-api-qps=2000 --kube-api-burst=4000 --leader-elect=false --secure-port=0)

start_kube_controller_manager() {
  local as=()
  # The volumes that it makes belong to its own user.
  [[ -z $VOLUME_OWNER ]] || as=(setpriv --reuid "$VOLUME_OWNER" --regid "$VOLUME_OWNER" --clear-groups)
  start kube-controller-manager "${as[@]}" kube-controller-manager --kubeconfig="$PKI/kube-controller-manager.kubeconfig" \
    "${UNHURRIED[@]}" --concurrent-job-syncs=20 \
    --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/service-account.key" \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --enable-hostpath-provisioner --flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins
}

start_kube_scheduler() {
  start kube-scheduler kube-scheduler --kubeconfig="$PKI/kube-scheduler.kubeconfig" "${UNHURRIED[@]}"
}

start_kubelet() {
  start kubelet kubelet --config="$CONFIG/kubelet.yaml" --kubeconfig="$PKI/kubelet.kubeconfig" \
    --hostname-override="$NODE_NAME" --node-ip="$NODE_ADDRESS" --cgroup-root="/backstay-$NAME"
}
