# shellcheck shell=bash
# What `up --with services` adds: Service addresses (kube-proxy) and DNS names (CoreDNS).

readonly -a SERVICE_COMPONENTS=(kube-proxy coredns)
COREDNS_VERSION=$(required_version github.com/coredns/coredns dns/go.mod)
readonly COREDNS_VERSION

# Kube-proxy has a role of its own name; the other's rights are in config/services.yaml.
readonly -a SERVICE_USERS=(
  "kube-proxy system:kube-proxy -"
  "coredns coredns -"
)

with_services() {
  [[ -e $STATE/services ]]
}

# The DNS server is built apart, with a key of its own: most clusters do without.
services_build() {
  local recipe
  recipe=$(cd "$HERE/dns" && sha256sum go.mod go.sum main.go | sha256sum | cut -c 1-12)
  printf '%s/coredns-%s-%s-%s' "$CACHE" "$COREDNS_VERSION" "$(uname -m)" "$recipe"
}

# Makes the build if it does not exist: beside its place and renamed, as build does.
build_services() {
  local place
  place=$(services_build)
  [[ ! -d $place ]] || return 0
  lock build
  if [[ ! -d $place ]]; then
    require_go
    trap stop_compiler EXIT
    say "building CoreDNS $COREDNS_VERSION from its Go modules, once: 3 minutes on 2 cores"
    rm -rf "$place.unfinished"
    mkdir "$place.unfinished"
    go_build dns . "$place.unfinished/coredns"
    mv "$place.unfinished" "$place"
    trap - EXIT
  fi
  unlock
}

start_services() {
  # The state folder is what the programs inside see, wherever the cache lies.
  cp "$(services_build)/coredns" "$STATE/services/coredns"
  wait_for 30 "rights of the DNS server applied" kube-apiserver -- admin apply -f "$HERE/config/services.yaml"
  start kube-proxy kube-proxy --config="$CONFIG/kube-proxy.yaml" --hostname-override="$NODE_NAME"
  start coredns /run/backstay/services/coredns -conf "$CONFIG/Corefile"
  wait_for 60 "Services have their addresses" kube-proxy -- inside nft list table ip kube-proxy
  wait_for 60 "names are answered" coredns -- resolves
}

# Whether the DNS server knows the one Service that every cluster has.
resolves() {
  inside busybox nslookup kubernetes.default.svc.cluster.local "$NODE_ADDRESS" | grep -qF "$SERVICE_ADDRESS"
}
