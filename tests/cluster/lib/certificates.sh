# shellcheck shell=bash
# Keys, certificates and kubeconfigs, made anew for each start. Elliptic curves: RSA keys would take seconds.

readonly NODE_ADDRESS=10.99.0.1 SERVICE_ADDRESS=10.96.0.1 NODE_NAME=node
readonly -a CERTIFICATE=(-days 3650 -sha256)

# One line each: the user's file name, its name to the API server, its group.
# The controller manager is in system:masters because its own role is meant for the use of one service account for each
# controller, which costs start-up time; nothing here tests it. The user backstay has only what RBAC gives it.
readonly -a USERS=(
  "admin admin system:masters"
  "kube-controller-manager system:kube-controller-manager system:masters"
  "kube-scheduler system:kube-scheduler -"
  "kubelet system:node:$NODE_NAME system:nodes"
  "backstay backstay -"
)

make_certificates() {
  local pki=$STATE/pki users=("${USERS[@]}") user subject file group
  ! with_services || users+=("${SERVICE_USERS[@]}")
  mkdir -m 700 "$pki"
  openssl req -x509 "${CERTIFICATE[@]}" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc \
    -subj /CN=backstay-test-ca -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null

  make_certificate kube-apiserver /CN=kube-apiserver \
    "subjectAltName=IP:$NODE_ADDRESS,IP:$SERVICE_ADDRESS,IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  for user in "${users[@]}"; do
    read -r file subject group <<<"$user"
    [[ $group == - ]] && subject=/CN=$subject || subject=/O=$group/CN=$subject
    make_certificate "$file" "$subject" extendedKeyUsage=clientAuth
    make_kubeconfig "$file"
  done
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/service-account.key"
  openssl ec -in "$pki/service-account.key" -pubout -out "$pki/service-account.pub" 2>/dev/null
  # The two that people and tests use have a plain place.
  mv "$pki/admin.kubeconfig" "$STATE/kubeconfig"
  mv "$pki/backstay.kubeconfig" "$STATE/backstay.kubeconfig"
  [[ -z $VOLUME_OWNER ]] || give_to_controller_manager "$VOLUME_OWNER"
}

# give_to_controller_manager UID: the files that it reads, and the folders on the way to them.
give_to_controller_manager() {
  local pki=$STATE/pki
  chmod 711 "$STATE" "$pki"
  chown "$1" "$pki/kube-controller-manager.kubeconfig" "$pki/service-account.key" "$pki/ca.key"
  install -d -o "$1" -g "$1" "$STATE/volumes"
}

# make_certificate NAME SUBJECT EXTENSION
make_certificate() {
  local name=$1 subject=$2 extension=$3
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "$subject" -keyout "$pki/$name.key" 2>/dev/null |
    openssl x509 -req "${CERTIFICATE[@]}" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -extfile <(echo "$extension") \
      -out "$pki/$name.crt" 2>/dev/null
}

# make_kubeconfig NAME: with the certificates inside, so that the file works wherever it is copied.
make_kubeconfig() {
  local name=$1
  (umask 077; cat >"$pki/$name.kubeconfig") <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: $NAME
    cluster:
      server: https://$NODE_ADDRESS
      certificate-authority-data: $(base64 -w 0 "$pki/ca.crt")
users:
  - name: $name
    user:
      client-certificate-data: $(base64 -w 0 "$pki/$name.crt")
      client-key-data: $(base64 -w 0 "$pki/$name.key")
contexts:
  - name: $NAME
    context: {cluster: $NAME, user: $name}
current-context: $NAME
YAML
}
