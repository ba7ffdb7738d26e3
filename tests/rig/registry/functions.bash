# shellcheck shell=bash
# Registries for tests: docker-registry on a free port of the loopback, with TLS and passwords where they are asked for.

# make_certificates FOLDER [ADDRESS]: an authority, and a certificate of it for localhost, 127.0.0.1 and the address.
make_certificates() {
  mkdir -p "$1"
  (
    cd "$1" || exit
    local address=${2:-127.0.0.1}
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=seatrial test authority" \
      -keyout ca.key -out ca.crt
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out server.crt \
      -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:$address")
  ) 2>/dev/null
}

free_port() {
  local port=$((21000 + RANDOM % 8000))
  while [ -n "$(ss -Hltn "sport = :$port")" ]; do port=$((port + 1)); done
  echo "$port"
}

# registry_start FOLDER PORT [tls] [password] [at=ADDRESS]: serves FOLDER/data; leaves its process in FOLDER/pid.
registry_start() {
  local folder=$1 port=$2 word address=127.0.0.1
  shift 2
  for word; do
    [ "${word%%=*}" != at ] || address=${word#at=}
  done
  mkdir -p "$folder/data"
  {
    echo "version: 0.1"
    echo "log: {level: warn}"
    echo "storage: {filesystem: {rootdirectory: $folder/data}, delete: {enabled: true}}"
    echo "http:"
    echo "  addr: $address:$port"
    echo "  secret: test"
    for word; do
      [ "$word" != tls ] || echo "  tls: {certificate: $folder/certs/server.crt, key: $folder/certs/server.key}"
    done
    for word; do
      [ "$word" != password ] || printf 'auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n' "$folder"
    done
  } >"$folder/config.yml"
  # shellcheck disable=SC2016 # no variables in it; it is "s3cret" by bcrypt
  echo 'captain:$2a$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK' >"$folder/htpasswd"
  docker-registry serve "$folder/config.yml" >"$folder/log" 2>&1 3>&- &
  echo $! >"$folder/pid"
  for _ in $(seq 200); do
    ! curl --silent --insecure --output /dev/null "http://$address:$port/v2/" || return 0
    kill -0 "$(cat "$folder/pid")" 2>/dev/null || break
    sleep 0.05
  done
  cat "$folder/log"
  return 1
}

registry_stop() {
  kill "$(cat "$1/pid")" 2>/dev/null || true
}

# docker_login FOLDER PORT [PASSWORD]: a config.json that knows captain there.
docker_login() {
  mkdir -p "$1"
  (umask 077 && printf '{"auths": {"127.0.0.1:%s": {"auth": "%s"}}}' "$2" "$(printf 'captain:%s' "${3:-s3cret}" | base64)" >"$1/config.json")
}
