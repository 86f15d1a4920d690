# shellcheck shell=bash
# The binaries and images, made once for each recipe.

# Makes $BUILD if it does not exist. It is made beside its place and renamed: what has the name is complete.
build() {
  [[ ! -d $BUILD ]] || return 0
  mkdir -p "$CACHE"
  lock build
  if [[ ! -d $BUILD ]]; then # another run may have made it while this one waited
    install_packages
    require_go
    trap stop_compiler EXIT
    local work=$CACHE/unfinished
    rm -rf "$work" # of a build that was killed
    mkdir "$work"
    build_binaries "$work/bin"
    build_images "$work"
    mv "$work" "$BUILD"
    trap - EXIT
    say "built $BUILD ($(du -sh "$BUILD" | cut -f 1))"
  fi
  unlock
}

# A script's background processes do not get the interrupt of the terminal, so go would work on alone.
COMPILER=
stop_compiler() {
  [[ -z $COMPILER ]] || kill "$COMPILER" 2>/dev/null || true
}

build_binaries() {
  local bin=$1 name version=${KUBERNETES_VERSION#v} package flags=
  mkdir "$bin"
  # Without these the API server calls itself v0.0.0-master, and clients that look at the version go wrong.
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=${version%%.*}"
    flags+=" -X $package.gitMinor=$(cut -d . -f 2 <<<"$version")"
  done
  say "building Kubernetes $KUBERNETES_VERSION and etcd $ETCD_VERSION from their Go modules, once for this recipe"
  say "from empty caches this takes about 10 minutes on 2 cores, and 4 GB of Go caches; a later build, a minute"
  go_build kubernetes . "$bin/kube" "$flags"
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
    ln -s kube "$bin/$name"
  done
  go_build kubernetes ./pause "$bin/pause"
  go_build etcd . "$bin/etcd"
}

# go_build MODULE PACKAGE BINARY [LINKER FLAGS]: with a line every half minute, since the linker and the larger packages
# say nothing for long.
go_build() {
  local module=$1 package=$2 binary=$3 flags="-s -w ${4:-}"
  local log=$CACHE/build.log count next=$((SECONDS + SIGN_OF_LIFE)) start=$SECONDS
  say "$(basename "$binary"): fetching modules and compiling"
  # The module files are the recipe: -mod=readonly keeps go from changing them, and no workspace or toolchain of the
  # machine may stand in for them.
  (cd "$HERE/$module" && exec "${FOREIGN[@]}" GOFLAGS=-mod=readonly GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 \
    go build -v -trimpath -buildvcs=false -ldflags "$flags" -o "$binary" "$package") >"$log" 2>&1 &
  COMPILER=$!
  while kill -0 "$COMPILER" 2>/dev/null; do
    sleep 1
    before "$next" && continue
    next=$((SECONDS + SIGN_OF_LIFE))
    count=$(grep -c '^go: downloading' "$log" || true)
    say "$(basename "$binary"): $count modules fetched, $(($(wc -l <"$log") - count)) packages compiled," \
      "after $((SECONDS - start)) s"
  done
  wait "$COMPILER" || { show_tail "$log" 30; die "could not build $(basename "$binary")"; }
  COMPILER=
}

build_images() {
  local work=$1
  say "writing the images localhost/pause:1 and localhost/backstay-tools:1"
  mkdir -p "$work/images" "$work/root/pause"
  cp "$work/bin/pause" "$work/root/pause/pause"
  write_image_archive "$work/root/pause" localhost/pause:1 "$work/images/pause.tar" /pause
  tools_root "$work/root/tools"
  write_image_archive "$work/root/tools" localhost/backstay-tools:1 "$work/images/backstay-tools.tar"
  rm -r "$work/root"
}
