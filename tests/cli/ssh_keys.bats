# Keys from files and from the agent: what we sign, ssh-keygen verifies.

bats_require_minimum_version 1.5.0
load ../functions

setup_file() {
  cd "$BATS_FILE_TMPDIR" || return
  local kind
  ssh-keygen -q -t ed25519 -N '' -C ed25519 -f ed25519
  for kind in rsa:2048 rsa:4096 ecdsa:256 ecdsa:384 ecdsa:521; do
    ssh-keygen -q -t "${kind%:*}" -b "${kind#*:}" -N '' -C "${kind/:/}" -f "${kind/:/}"
  done
}

setup() {
  ours=$SEATRIAL_BUILD/tests/cli/ssh_auth
  cd "$BATS_TEST_TMPDIR" || return
  cp "$BATS_FILE_TMPDIR"/* .
  echo "what is signed" >message
  unset SSH_AUTH_SOCK DISPLAY WAYLAND_DISPLAY SSH_ASKPASS_REQUIRE
  export SSH_ASKPASS=$BATS_TEST_TMPDIR/askpass
}

teardown() {
  [ -z "${SSH_AGENT_PID:-}" ] || kill "$SSH_AGENT_PID"
}

# A passphrase for each question, the last one for all further; questions are kept.
answer() {
  printf '%s\n' "$@" >answers
  cat >askpass <<'EOF'
#!/bin/sh
cd "$(dirname "$0")" || exit
echo "$1" >>asked
line=$(wc -l <asked)
[ "$(wc -l <answers)" -gt "$line" ] || line='$'
answer=$(sed -n "${line}p" answers)
[ "$answer" != declined ] || exit 1
echo "$answer"
EOF
  chmod 755 askpass
  rm -f asked
  export SSH_ASKPASS_REQUIRE=force
}

agent() {
  eval "$(ssh-agent)" >/dev/null
}

# signs AGENT|- FILE PUBLIC: what ours signs is verified.
signs() {
  "$ours" sign "$1" "$2" <message >signature || return
  printf 'me %s\n' "$(cut -d' ' -f1,2 "$3")" >allowed
  ssh-keygen -Y verify -f allowed -I me -n test -s signature <message
  echo "something else" >other
  ! ssh-keygen -Y verify -f allowed -I me -n test -s signature <other
}

@test "every type of key signs, from every format that ssh-keygen writes" {
  local key format
  for key in ed25519 rsa2048 rsa4096 ecdsa256 ecdsa384 ecdsa521; do
    signs - "$key" "$key.pub"
    for format in PEM PKCS8; do
      ssh-keygen -q -p -P '' -N '' -m "$format" -f "$key"
      signs - "$key" "$key.pub"
    done
  done
}

@test "every type of key signs when it is encrypted, in every format" {
  local key format
  answer secret
  for key in ed25519 rsa2048 ecdsa256 ecdsa521; do
    ssh-keygen -q -p -P '' -N secret -f "$key"
    for format in RFC4716 PEM PKCS8; do
      ssh-keygen -q -p -P secret -N secret -m "$format" -f "$key"
      signs - "$key" "$key.pub"
    done
  done
}

@test "every cipher that ssh-keygen encrypts by is read" {
  local cipher
  answer 'se cret'
  for cipher in $(ssh -Q cipher); do
    ssh-keygen -q -t ed25519 -N 'se cret' -Z "$cipher" -f "by-$cipher"
    signs - "by-$cipher" "by-$cipher.pub"
  done
  [ "$(wc -l <asked)" -ge 10 ]
}

@test "many rounds, and a long passphrase of any bytes" {
  local passphrase
  passphrase="$(printf 'x%.0s' {1..900}) ü€\"'\\"
  ssh-keygen -q -t ed25519 -a 50 -N "$passphrase" -f rounds
  answer "$passphrase"
  signs - rounds rounds.pub
}

@test "RSA signs by SHA-512, from a file and by the agent" {
  signs - rsa2048 rsa2048.pub
  sed '1d;$d' signature | base64 -d | grep -aq rsa-sha2-512
  agent
  ssh-add -q rsa2048
  rm rsa2048
  signs "$SSH_AUTH_SOCK" rsa2048 rsa2048.pub
  sed '1d;$d' signature | base64 -d | grep -aq rsa-sha2-512
}

@test "the agent signs with every type of key, and the file is not touched" {
  local key
  agent
  for key in ed25519 rsa4096 ecdsa256 ecdsa384 ecdsa521; do
    ssh-add -q "$key"
    echo "not a key any more" >"$key"
    signs "$SSH_AUTH_SOCK" "$key" "$key.pub"
  done
}

@test "the order is ssh's: keys of files that the agent holds, its others, files" {
  agent
  ssh-add -q ecdsa256 ed25519 rsa2048
  run -0 "$ours" list "$SSH_AUTH_SOCK" all ecdsa384 rsa2048 missing ed25519
  [[ ${lines[0]} == "key 'ed25519' of the agent "* ]]
  [[ ${lines[1]} == "key 'rsa2048' of the agent "* ]]
  [[ ${lines[2]} == "agent key 'ecdsa256' "* ]]
  [[ ${lines[3]} == "file 'ecdsa384' "* ]]
  [ ${#lines[@]} = 4 ]
  run -0 "$ours" list "$SSH_AUTH_SOCK" only ecdsa384 rsa2048 ed25519
  [ ${#lines[@]} = 3 ]
  [[ $output != *ecdsa256* ]]
}

@test "fingerprints are those of ssh-keygen" {
  local key
  for key in ed25519 rsa4096 ecdsa521; do
    run -0 "$ours" fingerprint "$key.pub"
    [ "$output" = "$(ssh-keygen -lf "$key.pub" | cut -d' ' -f2)" ]
    run -0 "$ours" list - all "$key"
    [ "$output" = "file '$key' $(ssh-keygen -lf "$key.pub" | cut -d' ' -f2)" ]
  done
}

@test "a wrong passphrase is asked for three times, and not again" {
  ssh-keygen -q -p -P '' -N right -f ed25519
  answer wrong
  run -1 "$ours" sign - ed25519 <message
  [[ $output == *"the key 'ed25519' is encrypted, and its passphrase was not told"*"ssh-add 'ed25519'"* ]]
  [ "$(grep -c "Enter passphrase for key 'ed25519': " asked)" = 3 ]
  answer wrong again right
  signs - ed25519 ed25519.pub
  [ "$(wc -l <asked)" = 3 ]
}

@test "whoever declines is not asked again" {
  ssh-keygen -q -p -P '' -N right -f ed25519
  answer declined
  run -1 "$ours" sign - ed25519 <message
  [[ $output == *"its passphrase was not told"* ]]
  [ "$(wc -l <asked)" = 1 ]
}

@test "without a terminal the error names the key and ssh-add" {
  ssh-keygen -q -p -P '' -N right -f ed25519
  run -1 setsid --wait "$ours" sign - ed25519 <message
  [[ $output == *"the key 'ed25519' is encrypted: there is no terminal"*"hint: ssh-add 'ed25519'"* ]]
}

@test "SSH_ASKPASS is asked as ssh would: with a display and no terminal, unless never" {
  ssh-keygen -q -p -P '' -N right -f ed25519
  answer right
  unset SSH_ASKPASS_REQUIRE
  DISPLAY=:1 run -0 setsid --wait "$ours" sign - ed25519 <message
  [ -e asked ]
  rm asked
  DISPLAY=:1 SSH_ASKPASS_REQUIRE=never run -1 setsid --wait "$ours" sign - ed25519 <message
  [ ! -e asked ]
}

@test "a private key that others can read is refused, but not where the agent has it" {
  chmod 640 ed25519
  run -1 "$ours" sign - ed25519 <message
  [[ $output == *"'ed25519' can be read by others (mode 0640) (chmod 600 'ed25519')"* ]]
  agent
  (umask 77 && cat ed25519 >private && ssh-add -q private)
  signs "$SSH_AUTH_SOCK" ed25519 ed25519.pub
}

@test "what cannot be used is a problem with a name, and the others go on" {
  local problems
  echo nonsense >nonsense
  mkdir folder
  ssh-keygen -q -t dsa -N '' -f dsa
  head -c 100 ed25519 >short
  cp ecdsa256.pub public
  chmod 600 nonsense short public
  run -0 "$ours" list - all nonsense folder dsa short public missing ed25519
  [[ ${lines[0]} == "file 'ed25519' SHA256:"* ]]
  problems=${lines[1]}
  [[ $problems == *"'nonsense': no private key in PEM format"* ]]
  [[ $problems == *"'folder' is not a regular file"* ]]
  [[ $problems == *"'dsa'"*"ssh-dss"* ]]
  [[ $problems == *"'short': a private key of OpenSSH without its end"* ]]
  [[ $problems == *"'public' is a public key that the agent does not hold"* ]]
  [[ $problems != *missing* ]]
}

@test "certificates are a problem with a name, and the key beside it works" {
  ssh-keygen -q -t ed25519 -N '' -f ca
  ssh-keygen -q -s ca -I someone -n root ed25519.pub
  cp ed25519-cert.pub certificate
  run -0 "$ours" list - all certificate ed25519
  [[ $output == *"file 'ed25519'"* ]]
  agent
  ssh-add -q ed25519
  run -0 "$ours" list "$SSH_AUTH_SOCK" all
  [[ $output == *"agent key 'ed25519'"* ]]
  [[ $output == *"type that is not supported"* ]]
}

@test "an agent that is gone, locked, or says no is a problem with a name" {
  run -0 "$ours" list /nowhere/agent all ed25519
  [[ ${lines[0]} == "file 'ed25519'"* ]]
  [[ ${lines[1]} == *"connect to the agent at '/nowhere/agent'"* ]]
  agent
  ssh-add -q ed25519
  run -0 "$ours" list "$SSH_AUTH_SOCK" all
  [[ $output == "agent key 'ed25519'"* ]]
  answer lock
  ssh-add -x
  run -0 "$ours" list "$SSH_AUTH_SOCK" all
  [ -z "$output" ]
}

@test "encrypted PEM without its public key is asked for before it is offered" {
  ssh-keygen -q -p -P '' -N right -m PEM -f rsa2048
  mv rsa2048.pub elsewhere.pub
  answer right
  run -0 "$ours" list - all rsa2048
  [ "$output" = "file 'rsa2048' unknown" ]
  [ ! -e asked ]
  signs - rsa2048 elsewhere.pub
}

@test "a .pub file of another key is found out" {
  ssh-keygen -q -p -P '' -N right -m PEM -f rsa2048
  cp rsa4096.pub rsa2048.pub
  answer right
  run -1 "$ours" sign - rsa2048 <message
  [[ $output == *"'rsa2048' and 'rsa2048.pub' are of different keys"* ]]
}

@test "forty hosts at once ask once, and all of them sign" {
  ssh-keygen -q -p -P '' -N right -f ed25519
  answer right
  run -0 "$ours" hosts ed25519 40
  [ "$output" = 40 ]
  [ "$(wc -l <asked)" = 1 ]
  ssh-keygen -q -p -P '' -N right -m PEM -f rsa2048
  rm rsa2048.pub asked
  run -0 "$ours" hosts rsa2048 40
  [ "$output" = 40 ]
  [ "$(wc -l <asked)" = 1 ]
}

@test "forty hosts at once whose key nobody can open ask three times in all" {
  ssh-keygen -q -p -P '' -N right -a 1 -f ed25519
  answer wrong
  run -0 "$ours" hosts ed25519 40
  [ "$output" = 0 ]
  [ "$(wc -l <asked)" = 3 ]
}

@test "in silence nobody is asked, and keys that need nobody sign" {
  ssh-keygen -q -p -P '' -N right -f ed25519
  answer right
  run -1 "$ours" sign - ed25519 silent <message
  [[ $output == *"the key 'ed25519' is encrypted, and BatchMode forbids to ask"* ]]
  [ ! -e asked ]
  run -0 "$ours" sign - rsa2048 silent <message
}
