# Known hosts: ssh itself, against an sshd behind a pipe, and ssh-keygen are the judges.

bats_require_minimum_version 1.5.0
load ../functions

setup_file() {
  cd "$BATS_FILE_TMPDIR" || return
  ssh-keygen -q -t ed25519 -N '' -f host
  ssh-keygen -q -t ed25519 -N '' -f other
  ssh-keygen -q -t ecdsa -N '' -f ecdsa
  ssh-keygen -q -t rsa -b 2048 -N '' -f rsa
}

setup() {
  ours=$SEATRIAL_BUILD/tests/cli/ssh_auth
  cd "$BATS_FILE_TMPDIR" || return
  known=$BATS_TEST_TMPDIR/known
  unset SSH_AUTH_SOCK
}

# "type base64" of a key that was made above
key() {
  cut -d' ' -f1,2 "$1.pub"
}

# What ssh says to a server that has only the key `host`.
judge() {
  local name=$1 port=$2 said
  said=$(ssh -T -F none -p "$port" -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$known" \
    -o GlobalKnownHostsFile=none -o IdentityFile=none -o HostKeyAlgorithms=ssh-ed25519 \
    -o ProxyCommand="/usr/sbin/sshd -i -f /dev/null -h $BATS_FILE_TMPDIR/host" "me@$name" 2>&1 </dev/null || true)
  case $said in
    *REVOKED*) echo revoked ;;
    *"IDENTIFICATION HAS CHANGED"*) echo changed ;;
    *"No ED25519 host key is known"*) echo unknown ;;
    *"Permission denied"*) echo match ;;
    *) echo "not understood: $said" ;;
  esac
}

agree() {
  local name=$1 port=$2 theirs
  run -0 "$ours" check "$name" "$port" host.pub "$known"
  theirs=$(judge "$name" "$port")
  [ "${output%% *}" = "$theirs" ] || {
    echo "$name $port: ours $output, ssh $theirs"
    cat "$known"
    return 1
  }
}

need_sshd() {
  [ -x /usr/sbin/sshd ] || lacking "there is no sshd"
  need_root
  mkdir -p /run/sshd
}

@test "what a file of known hosts says of a host is what ssh says" {
  need_sshd
  local name port
  cat >"$known" <<EOF
# a comment
plain $(key host)
Upper.Example $(key host) a comment with words
list,of,names $(key host)
*.example.com,!bad.example.com,?x $(key host)
   indented	$(key host)
[ported]:2222 $(key host)
[*.farm]:2222 $(key host)
10.0.0.*,2001:db8::1 $(key host)
changed $(key other)
[changed-port]:2222 $(key other)
both $(key other)
both $(key host)
@revoked revoked $(key host)
@revoked *.bad $(key host)
fine.bad $(key host)
@revoked otherrevoked $(key other)
otherrevoked $(key host)
@cert-authority authority $(key host)
@nonsense marker $(key host)
brokenkey ssh-ed25519 AAAA
wrongtype ssh-rsa $(key host | cut -d' ' -f2)
nokey
old 1024 35 1234567890
$(printf 'dos %s\r' "$(key host)")
onlyecdsa $(key ecdsa)
lastline $(key host)
EOF
  truncate -s -1 "$known"
  for name in plain PLAIN upper.example list of names a.example.com bad.example.com ax xx indented ported x.farm 10.0.0.7 \
    2001:db8::1 changed both revoked x.bad fine.bad otherrevoked authority marker brokenkey wrongtype nokey old dos lastline \
    nobody; do
    agree "$name" 22
  done
  for name in ported x.farm changed-port plain changed nobody; do
    agree "$name" 2222
  done
}

@test "hashed names are found as by ssh and ssh-keygen" {
  need_sshd
  local name
  cat >"$known" <<EOF
first $(key host)
second.example,alias $(key host)
[third]:2222 $(key host)
fourth $(key other)
EOF
  ssh-keygen -q -H -f "$known"
  rm "$known.old"
  run ! grep -q first "$known"
  for name in first FIRST second.example alias third fourth fifth; do
    agree "$name" 22
  done
  agree third 2222
  agree first 2222
}

@test "damaged hashes name nobody" {
  local hashed
  for hashed in '|' '|1|' '|1||' '|1|AAAA|AAAA' '|2|AAAA|AAAA' '|1|!|!' '|1|YWJj|' "|1|$(head -c 20 /dev/zero | base64)|AAAA"; do
    echo "$hashed $(key host)" >"$known"
    run -0 "$ours" check a 22 host.pub "$known"
    [ "$output" = unknown ]
  done
}

@test "a host known only by a key of another type is not taken for unknown" {
  echo "a $(key ecdsa)" >"$known"
  run -0 "$ours" check a 22 host.pub "$known"
  [ "$output" = "changed $known:1" ]
  echo "a $(key other)" >>"$known"
  run -0 "$ours" check a 22 host.pub "$known"
  [ "$output" = "changed $known:2 same type" ]
}

@test "all files count: a match makes up for another key, a revocation for everything" {
  echo "a $(key other)" >"$known"
  echo "a $(key host)" >"$known.2"
  echo "@revoked * $(key host)" >"$known.3"
  run -0 "$ours" check a 22 host.pub "$known" /missing "$known.2" /dev/null
  [ "$output" = "match $known.2:1" ]
  run -0 "$ours" check a 22 host.pub "$known.2" "$known.3"
  [ "$output" = "revoked $known.3:1" ]
}

@test "the algorithms of the known keys are told, RSA's by their signatures" {
  printf 'a %s\n@revoked a %s\n[b]:2222 %s\na,b %s\n' "$(key ecdsa)" "$(key other)" "$(key rsa)" "$(key rsa)" >"$known"
  run -0 "$ours" algorithms a 22 "$known"
  [ "$output" = "ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256,ssh-rsa" ]
  run -0 "$ours" algorithms b 2222 "$known"
  [ "$output" = "rsa-sha2-512,rsa-sha2-256,ssh-rsa" ]
  run -0 "$ours" algorithms nobody 22 "$known" /missing
  [ -z "$output" ]
}

@test "what is added is found by ssh-keygen and by us, once, and in private" {
  local new=$BATS_TEST_TMPDIR/folder/deep/known
  "$ours" add Some.Host 22 host.pub "$new"
  "$ours" add some.host 22 host.pub "$new"
  "$ours" add some.host 2222 host.pub "$new"
  "$ours" add hidden.host 2222 host.pub "$new" hash
  [ "$(wc -l <"$new")" = 2 ] # on another port the right key under the plain name is a match
  [ "$(stat -c %a "$new" "${new%/*}" | tr '\n' ' ')" = "600 700 " ]
  ssh-keygen -q -F some.host -f "$new"
  ssh-keygen -q -F '[hidden.host]:2222' -f "$new"
  run ! grep -q hidden "$new"
  run -0 "$ours" check hidden.host 2222 host.pub "$new"
  [[ $output == match* ]]
}

@test "a last line without its end is not run into" {
  printf 'a %s' "$(key other)" >"$known"
  "$ours" add b 22 host.pub "$known"
  run -0 "$ours" check a 22 other.pub "$known"
  [ "$output" = "match $known:1" ]
  run -0 "$ours" check b 22 host.pub "$known"
  [ "$output" = "match $known:2" ]
}

@test "twenty that add at once lose nothing and double nothing" {
  local i pids=()
  for i in {1..20}; do
    "$ours" add "host$((i % 10))" 22 host.pub "$known" &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i"
  done
  [ "$(sort "$known" | uniq | wc -l)" = 10 ]
  [ "$(wc -l <"$known")" = 10 ]
}

@test "names that would be read as something else are not written" {
  local name
  for name in 'a b' 'a,b' '*' '!a' '#a' '@revoked' '|1|x' '' $'a\nb' 'a"b'; do
    run -1 "$ours" add "$name" 22 host.pub "$known"
    [[ $output == *"cannot stand in a file of known hosts"* ]]
  done
  [ ! -e "$known" ]
}

@test "a file that cannot be read is an error, for it may revoke" {
  mkdir "$known"
  run -1 "$ours" check a 22 host.pub "$known"
  [[ $output == *"read known host keys: '$known' is not a regular file"* ]]
}
