# shellcheck shell=bash
# What the machine must have: Debian packages, and Go.

# Command (or file) and the package that brings it. Checked by command: a machine with Docker has a containerd from
# another package, which Debian's would replace.
readonly -a PACKAGES=(
  "containerd containerd"
  "runc runc"
  "/usr/lib/cni/bridge containernetworking-plugins"
  "ip iproute2"
  "openssl openssl"
  "nsenter util-linux"
)

install_packages() {
  local entry missing=()
  for entry in "${PACKAGES[@]}"; do
    command -v "${entry% *}" >/dev/null || missing+=("${entry#* }")
  done
  [[ -z ${WITH_SERVICES:-} ]] || command -v nft >/dev/null || missing+=(nftables)
  has_static_busybox || missing+=(busybox-static)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  say "installing Debian packages: ${missing[*]}"
  local log=$CACHE/packages.log
  mkdir -p "$CACHE"
  if ! { apt_get update && apt_get install "${missing[@]}"; } >"$log" 2>&1; then
    show_tail "$log" 20
    die "could not install ${missing[*]}"
  fi
}

# The other busybox package has a command of the same name, which does not run in an image without libraries.
has_static_busybox() {
  local busybox
  busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1
}

apt_get() {
  "${FOREIGN[@]}" DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

require_go() {
  command -v go >/dev/null || die "go is not on PATH: install Go 1.24 or later (Debian 12's own is too old)"
  local version
  version=$("${FOREIGN[@]}" GOTOOLCHAIN=local go env GOVERSION)
  [[ $(printf '%s\n' go1.24 "$version" | sort --version-sort | head -n 1) == go1.24 ]] ||
    die "$version is too old to build Kubernetes ${KUBERNETES_VERSION}: install Go 1.24 or later"
}

require_root() {
  [[ $EUID -eq 0 ]] || die "must run as root: it makes namespaces, mounts and cgroups"
}
