# shellcheck shell=bash
# Where things are kept, and what may be trusted there. Nothing is ever written into the checkout.

# required_version MODULE FILE: the version of MODULE in a go.mod, which is the only place that states it.
required_version() {
  sed -nE "s#^(require)?[[:space:]]*$1 (v[^ ]+).*#\2#p" "$HERE/$2" | head -n 1
}

KUBERNETES_VERSION=$(required_version k8s.io/kubernetes kubernetes/go.mod)
ETCD_VERSION=$(required_version go.etcd.io/etcd/server/v3 etcd/go.mod)
readonly KUBERNETES_VERSION ETCD_VERSION

readonly SIGN_OF_LIFE=30 # seconds of silence at most, whatever takes long

# Sets the paths of the cluster NAME:
#   $CACHE   all clusters, all builds
#   $BUILD   binaries and images of this recipe; exists only when complete
#   $STATE   the running cluster; removed by down
set_paths() {
  local base=${BACKSTAY_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or BACKSTAY_CACHE}/.cache}/backstay}
  CACHE=$(realpath -m "$base")/cluster
  BUILD=$CACHE/$(build_key)
  STATE=$CACHE/run/$NAME
  readonly CACHE BUILD STATE
}

# The versions, and a digest of every file that decides what a build makes.
build_key() {
  local recipe
  recipe=$(cd "$HERE" && find kubernetes etcd lib/build.sh lib/image.sh -type f -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-12)
  printf '%s-%s-%s-%s' "$KUBERNETES_VERSION" "$ETCD_VERSION" "$(uname -m)" "$recipe"
}

# lock NAME: waits for, then holds the lock NAME until the script ends. Two builds, or an up and a down of one cluster,
# must not run at once. Whatever outlives the script is started with {LOCK_FD}>&-, or it would hold the lock for ever.
lock() {
  mkdir -p "$CACHE/run"
  exec {LOCK_FD}>"$CACHE/run/$1.lock"
  local deadline=$((SECONDS + 3600)) wait=0
  until flock --wait "$wait" "$LOCK_FD"; do
    before "$deadline" || die "gave up waiting for $CACHE/run/$1.lock after an hour; see who holds it: fuser -v FILE"
    say "waiting for another run that holds $CACHE/run/$1.lock"
    wait=$SIGN_OF_LIFE
  done
}

unlock() {
  exec {LOCK_FD}>&-
}
