# What `seatrial` says when an engine and it do not trust each other. The engine is `openssl s_server`: it does not come
# to HTTP.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  unset DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS
  cd "$BATS_TEST_TMPDIR" || return
  printf 'services: {a: {image: x}}\n' >compose.yaml
  printf 'name: x\n' >deployment.yaml
  mkdir -p ours
  export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$PWD/ours
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=ours -keyout ca.key -out ours/ca.pem 2>/dev/null
}

teardown() {
  [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
}

# certificate NAME DAYS AUTHORITY: cert.pem and key.pem of the server; by our authority, or by another.
certificate() {
  local ca=ours/ca.pem key=ca.key
  if [ "$3" = other ]; then
    ca=other.pem key=other.key
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=other -keyout $key -out $ca 2>/dev/null
  fi
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout key.pem -out request.pem 2>/dev/null
  openssl x509 -req -in request.pem -days "$2" -CA $ca -CAkey $key -CAcreateserial -out cert.pem -extfile <(echo "subjectAltName=$1") 2>/dev/null
}

serve() {
  mkfifo hold
  openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem "$@" <>hold >server.log 2>&1 3>&- &
  server=$!
  eventually grep -q '^ACCEPT ' server.log
  port=$(sed -n 's/^ACCEPT .*://p' server.log)
  export DOCKER_HOST=tcp://localhost:$port
}

@test "a certificate that has expired" {
  certificate DNS:localhost -1 ours
  serve
  run -1 "$SEATRIAL_BIN/seatrial" ps
  [[ $output == *"the certificate of 'tcp://localhost:$port' has expired"* ]]
}

@test "a certificate for another name" {
  certificate DNS:elsewhere 1 ours
  serve
  run -1 "$SEATRIAL_BIN/seatrial" ps
  [[ $output == *"the certificate of 'tcp://localhost:$port' is for another name"*localhost* ]]
}

@test "a certificate of an authority that we do not know" {
  certificate DNS:localhost 1 other
  serve
  run -1 "$SEATRIAL_BIN/seatrial" ps
  [[ $output == *"the certificate of 'tcp://localhost:$port' is signed by an authority that we do not know"* ]]
}

@test "no TLS at the other end, and nobody at all" {
  certificate DNS:localhost 1 ours
  serve -tls1
  run -1 "$SEATRIAL_BIN/seatrial" ps
  [[ $output == *"no TLS with 'tcp://localhost:$port'"* ]]
  kill "$server"
  eventually run ! kill -0 "$server"
  run -1 "$SEATRIAL_BIN/seatrial" ps
  [[ $output == *"cannot connect to 'tcp://localhost:$port': Connection refused"* ]]
}

@test "certificates of ours that cannot be used" {
  export DOCKER_HOST=tcp://localhost:1
  certificate DNS:localhost 1 ours
  cp cert.pem ours/cert.pem
  echo nothing >ours/key.pem
  serve
  run -3 "$SEATRIAL_BIN/seatrial" ps
  [[ $output == *"our certificate '$PWD/ours/cert.pem' with key '$PWD/ours/key.pem' cannot be used"* ]]
  rm ours/key.pem
  echo nothing >ours/ca.pem
  run -3 "$SEATRIAL_BIN/seatrial" ps
  [[ $output == *"the authority's certificate '$PWD/ours/ca.pem' cannot be used"* ]]
}
