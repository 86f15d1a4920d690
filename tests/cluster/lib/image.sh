# shellcheck shell=bash
# Container images without Docker: an archive in the format of docker save is a tar with one tar for each layer, a
# configuration, and a manifest that names them.

# write_image_archive ROOT REFERENCE ARCHIVE [ENTRYPOINT…]: the folder ROOT as an image of one layer. The same folder
# gives the same archive, byte for byte. Files belong to root in the image, whoever owns them here.
write_image_archive() {
  local root=$1 reference=$2 archive=$3
  shift 3
  local work layer
  work=$(mktemp -d)
  reproducible_tar "$work/layer.tar" "$root" .
  layer=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
  cat >"$work/config.json" <<JSON
{
  "architecture": "$(image_architecture)",
  "os": "linux",
  "created": "1970-01-01T00:00:00Z",
  "config": {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "WorkingDir": "/",
    "Entrypoint": $(json_strings "$@")
  },
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]},
  "history": [{"created": "1970-01-01T00:00:00Z"}]
}
JSON
  cat >"$work/manifest.json" <<JSON
[{"Config": "config.json", "RepoTags": ["$reference"], "Layers": ["layer.tar"]}]
JSON
  reproducible_tar "$archive" "$work" manifest.json config.json layer.tar
  rm -r "$work"
}

# reproducible_tar ARCHIVE FOLDER FILE…
reproducible_tar() {
  tar --create --file "$1" --directory "$2" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "${@:3}"
}

# The names that images use, which are Go's.
image_architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# json_strings WORD…: the words as a JSON list, or null.
json_strings() {
  [[ $# -gt 0 ]] || { echo null; return; }
  local word list=
  for word in "$@"; do
    word=${word//\\/\\\\}
    list+=", \"${word//\"/\\\"}\""
  done
  echo "[${list#, }]"
}

# tools_root FOLDER: the files of localhost/backstay-tools, a busybox with all its applets.
tools_root() {
  local root=$1 applet
  mkdir -p "$root"/{bin,dev,etc,proc,root,sbin,sys,tmp,usr/bin,usr/sbin,var/tmp}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  cp "$(command -v busybox)" "$root/bin/busybox"
  busybox --list-full | while read -r applet; do
    [[ $applet == bin/busybox ]] || ln -sf /bin/busybox "$root/$applet"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
}
