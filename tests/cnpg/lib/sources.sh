# shellcheck shell=bash
# Upstream's programs and manifests, out of their Go modules.

# get_source MODULE VERSION FOLDER: the module's files, writable. A module's archive holds its manifests too.
get_source() {
  local downloaded
  say "fetching $1 $2"
  downloaded=$("${FOREIGN[@]}" GOWORK=off GOTOOLCHAIN=local go mod download -json "$1@$2" | sed -nE 's/^\s*"Dir": "(.*)",$/\1/p')
  [[ -d $downloaded ]] || die "could not fetch $1 $2"
  cp -r "$downloaded" "$3"
  chmod -R u+w "$3"
}

# The module proxy does not have all that the plugin asks for: it is built with an older Barman library, and what that
# library lacks is patched away. The plugin's own logic and protocol stay.
patch_plugin() {
  cp "$CNPG/plugin/go.mod" "$CNPG/plugin/go.sum" "$1/"
  # The ceiling: in a folder of some repository, git would look for the files from its root.
  (cd "$1" && "${FOREIGN[@]}" GIT_CEILING_DIRECTORIES="$(dirname "$PWD")" git apply "$CNPG/plugin/plugin.patch") ||
    die "plugin.patch does not apply to ${1##*/} of this version"
}

build_programs() {
  local work=$1
  go_build "$(from_here "$work/src/operator")" ./cmd/manager "$work/bin/operator" \
    "-X github.com/cloudnative-pg/cloudnative-pg/pkg/versions.buildVersion=${OPERATOR#v}"
  go_build "$(from_here "$work/src/plugin")" ./cmd/manager "$work/bin/plugin"
  go_build ../cnpg/s3 github.com/versity/versitygw/cmd/versitygw "$work/bin/versitygw"
}

from_here() {
  realpath --relative-to="$HERE" "$1"
}

# The manifests as upstream ships them, but for names of images, and for the certificates that cert-manager would make.
render_manifests() {
  local work=$1 plugin=$1/src/plugin/kubernetes
  "$BUILD/bin/kubectl" kustomize "$work/src/operator/config/default" |
    sed -e 's#controller:latest#localhost/cloudnative-pg:1#' -e 's#imagePullPolicy: Always#imagePullPolicy: IfNotPresent#' \
      >"$work/manifests/operator.yaml"
  sed -i -e '/certificate.*\.yaml/d' -e 's#newName: .*#newName: localhost/plugin-barman-cloud#' -e 's#newTag: .*#newTag: "1"#' \
    -e 's#SIDECAR_IMAGE=.*#SIDECAR_IMAGE=localhost/plugin-barman-cloud-sidecar:1#' "$plugin/kustomization.yaml"
  "$BUILD/bin/kubectl" kustomize "$plugin" >"$work/manifests/plugin.yaml"
}
