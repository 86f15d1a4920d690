# shellcheck shell=bash
# The files of the PostgreSQL image: Debian's PostgreSQL, with Barman for the plugin's sidecar.

# Command and the package that brings it.
readonly -a BUILD_PACKAGES=("debootstrap debootstrap" "python3 python3" "pip3 python3-pip" "git git")

install_build_packages() {
  local entry missing=()
  for entry in "${BUILD_PACKAGES[@]}"; do
    command -v "${entry% *}" >/dev/null || missing+=("${entry#* }")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  say "installing Debian packages: ${missing[*]}"
  local log=$CACHE/packages.log
  if ! { apt_get update && apt_get install "${missing[@]}"; } >"$log" 2>&1; then
    show_tail "$log" 20
    die "could not install ${missing[*]}"
  fi
}

# postgres_root FOLDER
postgres_root() {
  local root=$1 log=$CACHE/postgres.log python
  say "PostgreSQL $POSTGRES and Python from Debian $DEBIAN"
  if ! "${FOREIGN[@]}" debootstrap --variant=minbase \
    --include="postgresql-$POSTGRES,python3,python3-psycopg2,python3-dateutil" "$DEBIAN" "$root" >"$log" 2>&1; then
    show_tail "$log" 20
    die "could not unpack Debian $DEBIAN"
  fi
  python=$(cd "$root/usr/lib" && echo python3.*)
  say "Barman from PyPI"
  if ! "${FOREIGN[@]}" pip3 install --quiet --target "$root/barman" --no-deps --only-binary=:all: --python-version "${python#python}" \
    --requirement "$CNPG/postgres/requirements.txt" >"$log" 2>&1; then
    show_tail "$log" 20
    die "could not fetch Barman"
  fi
  mkdir -p "$root/usr/local/lib/$python/dist-packages"
  for script in "$root"/barman/bin/barman-cloud-*; do
    sed '1s#.*#\#!/usr/bin/python3#' "$script" >"$root/usr/bin/$(basename "$script")"
    chmod 755 "$root/usr/bin/$(basename "$script")"
  done
  rm -rf "$root/barman/bin" "$root/barman/share"
  mv "$root"/barman/* "$root/usr/local/lib/$python/dist-packages/"
  rmdir "$root/barman"
  slim "$root"
  # The operator runs PostgreSQL as this user.
  sed -i -E 's#^postgres:([^:]*):[0-9]+:[0-9]+:#postgres:\1:26:26:#' "$root/etc/passwd"
  postgres_version "$root" >/dev/null
}

# What a container of the tests never uses: half of the size, which each start of a cluster would unpack.
slim() {
  local root=${1:?}
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* "$root"/usr/share/{doc,man,locale,info,perl,perl5} \
    "$root"/usr/lib/*-linux-gnu/{perl,perl-base,perl5} "$root"/usr/lib/*-linux-gnu/libLLVM* \
    "$root/usr/lib/postgresql/$POSTGRES/lib/bitcode" "$root/var/lib/postgresql/$POSTGRES" "${root:?}"/{boot,dev}
  mkdir -p "$root/dev"
}

# postgres_version FOLDER: as the server says it. The operator reads the version from the image's tag.
postgres_version() {
  chroot "$1" "/usr/lib/postgresql/$POSTGRES/bin/postgres" --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1
}
