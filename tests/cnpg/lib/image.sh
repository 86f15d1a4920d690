# shellcheck shell=bash
# The images of the operator, the plugin and the database.

write_images() {
  local work=$1 version
  say "writing the images"
  mkdir -p "$work"/root/{operator/{operator,tmp},plugin}
  cp "$work/bin/operator" "$work/root/operator/operator/manager_$(image_architecture)"
  ln -s "operator/manager_$(image_architecture)" "$work/root/operator/manager"
  chmod 1777 "$work/root/operator/tmp"
  write_image "$work/root/operator" "$work/images/operator.tar" 65532 /manager localhost/cloudnative-pg:1
  cp "$work/bin/plugin" "$work/root/plugin/manager"
  write_image "$work/root/plugin" "$work/images/plugin.tar" 10001 /manager localhost/plugin-barman-cloud:1
  # One image for the database and for the plugin's sidecar: the sidecar is Barman and the plugin's program, and the
  # operator brings its own program for the database.
  version=$(postgres_version "$work/root/postgres")
  cp "$work/bin/plugin" "$work/root/postgres/manager"
  write_image "$work/root/postgres" "$work/images/postgres.tar" 26 /manager \
    "localhost/postgresql:$version" localhost/plugin-barman-cloud-sidecar:1
  echo "localhost/postgresql:$version" >"$work/postgres-image"
  rm "$work"/bin/{operator,plugin}
}

# write_image ROOT ARCHIVE USER PROGRAM REFERENCE…: the folder ROOT as an image of one layer, in the format of docker
# save. Its process is PROGRAM, as USER.
write_image() {
  local root=$1 archive=$2 user=$3 program=$4 work layer
  shift 4
  work=$(mktemp -d -p "$(dirname "$archive")")
  reproducible_tar "$work/layer.tar" "$root" .
  layer=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
  cat >"$work/config.json" <<JSON
{
  "architecture": "$(image_architecture)",
  "os": "linux",
  "created": "1970-01-01T00:00:00Z",
  "config": {
    "User": "$user:$user",
    "Env": [
      "PATH=/usr/lib/postgresql/$POSTGRES/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "LANG=C.UTF-8",
      "PYTHONDONTWRITEBYTECODE=1"
    ],
    "WorkingDir": "/",
    "Entrypoint": $(json_strings "$program")
  },
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]},
  "history": [{"created": "1970-01-01T00:00:00Z"}]
}
JSON
  cat >"$work/manifest.json" <<JSON
[{"Config": "config.json", "RepoTags": $(json_strings "$@"), "Layers": ["layer.tar"]}]
JSON
  reproducible_tar "$archive" "$work" manifest.json config.json layer.tar
  rm -r "$work"
}
