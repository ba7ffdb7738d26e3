# What a destination means under ssh_config(5), with `ssh -G` as the judge.

bats_require_minimum_version 1.5.0
load ../functions

setup() {
  ours=$SEATRIAL_BUILD/tests/cli/ssh_auth
  configs=$BATS_TEST_TMPDIR/configs
  cp -r "$SEATRIAL_SOURCE/tests/cli/ssh_config" "$configs"
  chmod -R go-w "$configs"
  find "$configs" -type f -exec sed -i "s|@DIR@|$configs|g" {} +
  unset SSH_AUTH_SOCK
  export SHELLISH=/from/environment
  ssh -T -G -F none x >"$BATS_TEST_TMPDIR/defaults"
  home=$(getent passwd "$(id -u)" | cut -d: -f6)
}

# Of the judge's words those that ours also tells, in order: algorithms only where they are not ssh's own.
# IdentityFile is told as it was written.
judge() {
  local config=$1 destination=$2
  ssh -T -G -F "$config" "$destination" | awk -v home="$home" -v defaults="$BATS_TEST_TMPDIR/defaults" '
    BEGIN {
      while ((getline line <defaults) > 0)
        standard[line] = 1
      n = split("user hostname port identitiesonly batchmode compression hashknownhosts stricthostkeychecking " \
                "addressfamily serveralivecountmax serveraliveinterval connecttimeout proxyjump hostkeyalias " \
                "bindaddress identityfile userknownhostsfile globalknownhostsfile identityagent", names, " ")
      for (i = 1; i <= n; i++)
        told[names[i]] = 1
      split("ciphers macs kexalgorithms hostkeyalgorithms", names, " ")
      for (i in names)
        algorithm[names[i]] = 1
    }
    $1 == "identityfile" { sub(/ ~/, " " home); if ($2 == "none") next }
    ($1 == "identityagent" || $1 == "proxyjump") && $2 == "none" { next }
    $1 ~ /knownhostsfile$/ && $2 == "none" { $0 = $1 }
    told[$1] || (algorithm[$1] && !standard[$0])' | LC_ALL=C sort -s -k1,1
}

agree() {
  local config=$1 destination=$2
  "$ours" resolve "$config" "$destination" | LC_ALL=C sort -s -k1,1 >"$BATS_TEST_TMPDIR/ours"
  judge "$config" "$destination" >"$BATS_TEST_TMPDIR/theirs"
  [ -s "$BATS_TEST_TMPDIR/theirs" ]
  diff -u "$BATS_TEST_TMPDIR/theirs" "$BATS_TEST_TMPDIR/ours" || {
    echo "$destination under $(basename "$config")"
    return 1
  }
}

@test "every configuration of the collection means what it means to ssh" {
  local config destination count=0 failed=0
  for config in "$configs"/*.conf; do
    read -ra destinations < <(sed -n '1s/^# destinations: //p' "$config")
    for destination in "${destinations[@]}"; do
      agree "$config" "$destination" || failed=$((failed + 1))
      count=$((count + 1))
    done
  done
  echo "$count destinations, $failed failed"
  [ "$failed" = 0 ]
  [ "$count" -ge 60 ]
}

# Random lines of the words that decide, from a seed that is printed; each is asked for every name.
generate() {
  awk -v seed="$1" '
    function pick(list, n, parts) { n = split(list, parts, "|"); return parts[1 + int(rand() * n)] }
    BEGIN {
      srand(seed)
      lines = 4 + int(rand() * 12)
      for (i = 0; i < lines; i++) {
        kind = rand()
        if (kind < 0.25)
          print "Host " pick("a|b|*|!a *|a b|?|* !b|c*|*.example|!*") " " pick("|a|!b|cc|#x")
        else if (kind < 0.4)
          print "Match " pick("host|originalhost|!host|Host") " " pick("a|b,c*|*.example|!a,*|*,!b") " " \
            pick("|user me|user root,me|localuser *|!user you|final|!final|canonical|user=you")
        else if (kind < 0.45)
          print "Match " pick("all|final all|final|canonical all|!final|!all")
        else
          print pick("| |\t") pick("HostName|hostname=") " " pick("a|b|%h.example|cc|127.0.0.1")
        print pick("User|USER|user =") " " pick("me|you|root|\"me\"|*")
        print pick("Port|Port =") " " (1 + int(rand() * 65535))
        print "IdentityFile " pick("/k/1|/k/2|~/k|none|\"/k/3\" # c")
        if (rand() < 0.3)
          print pick("ConnectTimeout 1m|ServerAliveInterval 30|Compression yes|ProxyJump j|ProxyJump none|ProxyCommand none")
        if (rand() < 0.2)
          print pick("UserKnownHostsFile /x/%h /y|UserKnownHostsFile none|HostKeyAlias Al|IdentitiesOnly yes|AddressFamily inet6")
      }
    }'
}

@test "random configurations mean what they mean to ssh" {
  local seed config=$BATS_TEST_TMPDIR/random.conf destination failed=0 first=${SSH_CONFIG_SEED:-$RANDOM}
  for seed in $(seq "$first" $((first + ${SSH_CONFIG_COUNT:-40}))); do
    generate "$seed" >"$config"
    for destination in a b me@cc x.example; do
      agree "$config" "$destination" || {
        echo "SSH_CONFIG_SEED=$seed"
        cat "$config"
        failed=1
      }
    done
    [ $failed = 0 ] || return 1
  done
}

@test "what ssh refuses is refused, with the file and the line" {
  local line config=$BATS_TEST_TMPDIR/bad.conf
  while IFS= read -r line; do
    printf '# first\n%b\n' "$line" >"$config"
    echo "$line"
    run ! ssh -T -G -F "$config" a
    run -1 "$ours" resolve "$config" a
    [[ $output == "configuration: $config:"[0-9]*": "* ]] || {
      echo "$line: $output"
      return 1
    }
  done <<'EOF'
Hots a
Port 0
Port 65536
Port -1
Port 22x
Port 22 23
Port
User
User ""
Host
Host ""
Match
Match all host a
Match host
Match nonsense x
Match
User "me
IdentityFile 'x
Compression maybe
Compression true
ConnectTimeout x
ConnectTimeout 3y
ConnectTimeout 99999999999
ServerAliveCountMax -1
AddressFamily inet5
StrictHostKeyChecking perhaps
UserKnownHostsFile /a none
ProxyJump a,
ProxyJump ,a
ProxyJump a b
ProxyJump a:0
Host b\nNonsense yes
HostName %z
IdentityAgent ~no-such-user-here/x
UserKnownHostsFile ~no-such-user-here/x
UserKnownHostsFile %z
Include ""
EOF
}

@test "what would change the connection and is not supported is refused by name, where it takes effect" {
  local line config=$BATS_TEST_TMPDIR/refused.conf
  while IFS= read -r line; do
    printf 'Host a\n  %s\n' "$line" >"$config"
    run -1 "$ours" resolve "$config" a
    [[ $output == "configuration: $config:2: "*"not supported"* ]]
    run -0 "$ours" resolve "$config" b
  done <<'EOF'
ProxyCommand nc %h %p
CertificateFile ~/.ssh/id-cert.pub
RevokedHostKeys /etc/ssh/revoked
BindInterface eth0
CanonicalizeHostname yes
EOF
  printf 'Match host a exec "touch %s/ran"\n  Port 2222\n' "$BATS_TEST_TMPDIR" >"$config"
  run -1 "$ours" resolve "$config" a
  [[ $output == *"'Match exec' would run a program"* ]]
  run -0 "$ours" resolve "$config" b
  [ ! -e "$BATS_TEST_TMPDIR/ran" ]
}

@test "the first value of what is refused decides as well" {
  printf 'CanonicalizeHostname no\nCanonicalizeHostname yes\nProxyJump j\nProxyCommand nc\n' >"$BATS_TEST_TMPDIR/c"
  run -0 "$ours" resolve "$BATS_TEST_TMPDIR/c" a
  [[ $output == *"proxyjump j"* ]]
}

@test "a misspelt keyword is told the right one" {
  echo 'IdentityFiel x' >"$BATS_TEST_TMPDIR/c"
  run -1 "$ours" resolve "$BATS_TEST_TMPDIR/c" a
  [[ $output == *"did you mean IdentityFile?"* ]]
}

@test "names that a shell would read are refused, wherever they come from" {
  local line
  for line in 'HostName a;b' 'User a;b' "HostName \"a'b\"" 'User -x' 'HostName -x' 'HostName a\x07b'; do
    printf '%b\n' "$line" >"$BATS_TEST_TMPDIR/c"
    run -1 "$ours" resolve "$BATS_TEST_TMPDIR/c" a
    [[ $output == *"c:1: "*" is not usable as the name of a "* ]]
  done
}

@test "Include ends: in a circle, and in too many files" {
  local config=$BATS_TEST_TMPDIR/c
  echo "Include $config" >"$config"
  run ! ssh -T -G -F "$config" a
  run -1 "$ours" resolve "$config" a
  [[ $output == *"more than 16 deep"* ]]
  printf 'Include %s %s\n' "$config" "$config" >"$config"
  run -1 "$ours" resolve "$config" a
}

@test "an included file that others can write is refused, as by ssh" {
  local config=$BATS_TEST_TMPDIR/c
  echo "Include $config.d" >"$config"
  echo "User me" >"$config.d"
  chmod 666 "$config.d"
  run ! ssh -T -G -F "$config" a
  run -1 "$ours" resolve "$config" a
  [[ $output == *"written by, others"*"chmod 600"* ]]
}

@test "destinations are taken apart" {
  local destination expected
  while read -r destination expected; do
    run -0 "$ours" resolve none "$destination"
    [ "$(printf '%s\n' "$output" | awk '/^(user|hostname|port) /{printf "%s ", $2}')" = "$expected " ] || {
      echo "$destination: $output"
      return 1
    }
  done <<'EOF'
me@host:2222 me host 2222
me@[2001:db8::1]:2222 me 2001:db8::1 2222
me@2001:db8::1 me 2001:db8::1 22
ssh://me@host:2222 me host 2222
ssh://me@host/ me host 22
a@b@host a@b host 22
CORP\me@host CORP\me host 22
EOF
  for destination in '' @ me@ :22 host: host:x host:0 host:65536 '[::1' '[::1]x' '-oProxyCommand=x' 'a b' 'a;b' ssh:// 'me@-x' '-u@x'; do
    run -1 "$ours" resolve none "$destination"
    [[ $output == *"is not [user@]host[:port]"* ]] || {
      echo "$destination: $output"
      return 1
    }
  done
}
