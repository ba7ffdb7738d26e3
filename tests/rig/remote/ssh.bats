# One host over SSH: commands, files, forwards and the engine, as long as nothing breaks.

bats_require_minimum_version 1.5.0
load ../../functions
load common

setup_file() {
  rig_setup 2
}

teardown_file() {
  rig_teardown
}

setup() {
  use_rig
  cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
  rig sshd 1
  rig sshd 2
}

# What goes there and comes back is the same.
echoes() {
  remote "$1" exec cat <"$2" >"$2.back" && cmp "$2" "$2.back"
}

random_file() {
  head -c "$1" /dev/urandom >"$2"
}

@test "a command ends with its code, its signal and what it said" {
  run -7 --separate-stderr remote h1 exec 'echo out; echo err >&2; exit 7' </dev/null
  [ "$output" = out ]
  # shellcheck disable=SC2154 # run sets it
  [ "${stderr_lines[0]}" = err ]
  # shellcheck disable=SC2016 # the host's shell expands it
  run -128 remote h1 exec 'kill -TERM $$' </dev/null
  [[ $output == *"ended by TERM"* ]]
  run -200 remote h1 text 'echo why >&2; exit 3'
  [[ $output == *"failed: host 'r1': a command ended with exit code 3: why"* ]]
}

@test "large input comes back as it went" {
  random_file 30000000 big
  echoes h1 big
  remote h1 exec 'head -c 1000 >/dev/null' <big # the rest is not read, which is no fault
}

@test "bytes stay the same while keys are exchanged anew" {
  rig sshd 1 'RekeyLimit 2M'
  random_file 30000000 big
  echoes h1 big
}

@test "files are put and got as a whole, their folders made" {
  random_file 3000000 file
  remote h1 put "/root/new/fol der/it's" 640 <file
  remote h1 get "/root/new/fol der/it's" | cmp - file
  [ "$(rig exec 1 stat -c %a "/root/new/fol der/it's")" = 640 ]
  [ "$(rig exec 1 ls -A '/root/new/fol der')" = "it's" ]
  run -1 remote h1 get /root/missing
  run -200 remote member@h1 put /root/x 600 <file
  [[ $output == *"write '/root/x' on host 'r1':"*"ermission denied"* ]]
}

@test "the engine answers on a private socket, which is gone afterwards" {
  # shellcheck disable=SC2016 # the inner shells expand it
  remote h1 hold sh -c 'curl -sS --unix-socket "$SOCKET" http://engine/version >version
    stat -c %a "$(dirname "$SOCKET")" >mode; echo "$SOCKET" >socket; docker version >docker'
  grep -q '"ApiVersion"' version
  grep -q 'Server' docker
  [ "$(cat mode)" = 700 ]
  [ ! -e "$(dirname "$(cat socket)")" ]
}

@test "one sshd connection carries hundreds of engine connections and commands" {
  rig sshd 1 # counts from here
  # shellcheck disable=SC2016 # the inner shell expands it
  remote h1 hold sh -c 'for i in $(seq 200); do
      curl -sS --max-time 100 --unix-socket "$SOCKET" http://engine/_ping >ping.$i &
    done; wait'
  [ "$(cat ping.* | tr -d '\n')" = "$(printf 'OK%.0s' $(seq 200))" ]
  [ "$(rig connections 1)" = 1 ]
}

@test "with few descriptors, connections wait until there are some again" {
  # shellcheck disable=SC2016 # the inner shell expands it
  (ulimit -n 40 && remote h1 hold bash -c 'for i in {1..100}; do
      curl -sS --max-time 100 --unix-socket "$SOCKET" http://engine/_ping >ping.$i &
    done; wait')
  [ "$(cat ping.* | tr -d '\n')" = "$(printf 'OK%.0s' {1..100})" ]
}

@test "MaxSessions 1: commands wait for one another, and engine connections for nobody" {
  rig sshd 1 'MaxSessions 1'
  run -0 remote h1 many 60 'sleep 0.02'
  [ "$output" = "60 of 60" ]
  engine_get h1 /_ping
}

@test "MaxStartups: who comes too often is let in later" {
  rig sshd 1 'MaxStartups 3:100:3'
  local i
  for ((i = 0; i < 12; i++)); do
    remote --timeout 60000 h1 text 'echo in' >in.$i &
  done
  wait
  [ "$(cat in.* | sort | uniq -c | awk '{print $1, $2}')" = "12 in" ]
}

@test "the host's clock is compared" {
  read -r offset uncertain < <(remote h1 clock)
  [ "${offset#-}" -lt $((uncertain + 50000000)) ]
}

@test "an RSA key lets in by rsa-sha2, and the answer says which key it was" {
  sed "s|^  IdentityFile .*|  IdentityFile $RIG_KEY_RSA|" "$RIG_SSH_CONFIG" >config
  CONFIG=$PWD/config run -0 remote h1 ssh
  [ "$output" = "root $RIG_ADDRESS_1 22 $RIG_KEY_RSA -" ]
}

@test "a stranger's key is not accepted, and the user is told what was tried" {
  sed "s|^  IdentityFile .*|  IdentityFile $RIG_KEY_STRANGER|" "$RIG_SSH_CONFIG" >config
  CONFIG=$PWD/config run -200 remote h1 ssh
  [[ $output == *"refused: host 'r1': user 'root' is not let in: file '$RIG_KEY_STRANGER': not accepted"* ]]
  [[ $output == *"hint: put the public key into ~root/.ssh/authorized_keys there"* ]]
}

@test "an unknown host key is refused, accept-new remembers it, a wrong one is never accepted" {
  sed "s|^  UserKnownHostsFile .*|  UserKnownHostsFile $PWD/known|" "$RIG_SSH_CONFIG" >config
  sed -i '/StrictHostKeyChecking/d' config
  local fingerprint
  fingerprint=$(ssh-keygen -lf <(ssh-keyscan -t ed25519 "$RIG_ADDRESS_1" 2>/dev/null) | awk '{print $2}')
  CONFIG=$PWD/config run -200 remote h1 ssh
  [[ $output == *"refused: host 'r1': its host key $fingerprint is not known"* ]]
  [[ $output == *"ssh-keyscan -p 22 $RIG_ADDRESS_1 >>$PWD/known"* ]]
  CONFIG=$PWD/config remote --accept-new h1 ssh
  CONFIG=$PWD/config remote h1 ssh
  sed -i "s|known$|wrong|" config
  cp "$RIG_KNOWN_HOSTS_WRONG" wrong
  CONFIG=$PWD/config run -200 remote --accept-new h1 ssh
  [[ $output == *"its host key is $fingerprint, and it is known by another ($PWD/wrong:"* ]]
  [[ $output == *"ssh-keygen -R '$RIG_ADDRESS_1' -f $PWD/wrong"* ]]
  sed 's/^/@revoked /' known >revoked
  sed -i "s|wrong$|revoked|" config
  CONFIG=$PWD/config run -200 remote --accept-new h1 ssh
  [[ $output == *"its host key $fingerprint is revoked"* ]]
  CONFIG=$PWD/config remote --key "$fingerprint" h1 ssh
  CONFIG=$PWD/config run -200 remote --key SHA256:wrong h1 ssh
  [[ $output == *"its host key is $fingerprint, and SHA256:wrong is pinned"* ]]
}

@test "where sshd does not forward to sockets, docker there does" {
  rig sshd 1 'AllowStreamLocalForwarding no'
  [ "$(engine_get h1 /_ping)" = OK ]
  # Half of a connection ends before the other: an exec's input, for one.
  # shellcheck disable=SC2016 # the inner shell expands it
  remote h1 hold sh -c 'docker version >version'
}

@test "a user outside of group docker goes by sudo, and without it is told what to do" {
  [ "$(engine_get sudoer@h1 /_ping)" = OK ]
  rig exec 1 mv /etc/sudoers /etc/sudoers.off
  run engine_get sudoer@h1 /_ping
  local answer=$output
  run remote sudoer@h1 engine
  rig exec 1 mv /etc/sudoers.off /etc/sudoers
  [[ $answer == *"user 'sudoer' may not open the engine's socket"*"usermod -aG docker sudoer"* ]]
  [ "$status" = 200 ]
  [[ $output == *"refused: host 'r1': user 'sudoer' may not open the engine's socket"* ]]
}

@test "a stopped engine is said to be one, and its return is noticed" {
  rig engine 1 stop
  run -200 remote h1 engine
  rig engine 1 start
  [[ $output == *"unreachable: host 'r1': no engine listens on /var/run/docker.sock there"* ]]
  remote h1 engine
}

@test "forwards work both ways, and one end may close before the other" {
  # shellcheck disable=SC2016 # the inner shell expands it
  run -0 remote h1 forward 127.0.0.1 22 bash -c 'exec 4<>/dev/tcp/127.0.0.1/$FORWARD_PORT; head -n 1 <&4'
  [[ $output == SSH-2.0-* ]]
  cat >echo.pl <<'EOF'
use IO::Socket::INET; # answers when it has read all there is
my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die;
open(my $f, ">", "port.new"); print $f $s->sockport; close $f; rename "port.new", "port";
my $c = $s->accept; local $/; my $all = <$c>; print $c "got " . length($all); close $c;
EOF
  cat >ask.pl <<'EOF'
use IO::Socket::INET;
my $c = IO::Socket::INET->new("127.0.0.1:$ARGV[0]") or die;
print $c "x" x 5000000; shutdown($c, 1); local $/; print <$c>;
EOF
  perl echo.pl 3>&- &
  eventually test -e port
  cp ask.pl "$SEATRIAL_RIG_ROOT/h1/private/tmp/"
  # From there to here.
  # shellcheck disable=SC2016 # the inner shell expands it
  run -0 remote h1 backward "$(cat port)" bash -c '"$SEATRIAL_BIN/remote_host" --config "$RIG_SSH_CONFIG" h1 text "perl /tmp/ask.pl $FORWARD_PORT"'
  [[ $output == *"got 5000000"* ]]
  # From here to there.
  cp echo.pl "$SEATRIAL_RIG_ROOT/h1/private/tmp/"
  rig exec 1 sh -c 'cd /tmp; rm -f port; perl echo.pl' 3>&- &
  eventually test -e "$SEATRIAL_RIG_ROOT/h1/private/tmp/port"
  # shellcheck disable=SC2016 # the inner shell expands it
  run -0 remote h1 forward 127.0.0.1 "$(cat "$SEATRIAL_RIG_ROOT/h1/private/tmp/port")" bash -c 'perl ask.pl "$FORWARD_PORT"'
  [[ $output == *"got 5000000"* ]]
}

@test "a host is reached through others" {
  cat >config <<EOF
Host far
  HostName $RIG_ADDRESS_2
  ProxyJump near
Host near
  HostName $RIG_ADDRESS_1
  ProxyJump $RIG_ADDRESS_2
EOF
  cat "$RIG_SSH_CONFIG" >>config
  export CONFIG=$PWD/config
  [ "$(remote far text hostname)" = h2 ]
  [ "$(engine_get far /_ping)" = OK ]
  head -c 5000000 /dev/urandom >big
  echoes far big
  sed -i "s/ProxyJump near/ProxyJump $RIG_ADDRESS_1,nobody-at-all.invalid/" config
  run -200 remote far ssh
  [[ $output == *"host 'r1': through 'nobody-at-all.invalid': through '$RIG_ADDRESS_1': connect from there"* ]]
}
