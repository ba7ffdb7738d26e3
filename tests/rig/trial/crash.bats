# Core dumps: they come home with what a debugger needs, are read by one, and are the first thing that the result says.

# Variables come from functions.bash; what a test exports is meant for itself alone.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../../functions
load functions
load core_pattern

setup_file() {
  [ -z "${SEATRIAL_TEST_DOCKER_HOST:-}" ] || need_core_pattern
}

teardown_file() {
  remove_kept_image
  restore_core_pattern
}

setup() {
  prepare_trial
  cd "$folder" || return
}

teardown() {
  sweep_trial
}

# The files of a container here.
of_replica() {
  echo "$results/local/$project-replica-$1"
}

backtrace_of() {
  cat "$(of_replica "$1")"/cores/*.backtrace.txt
}

# One replica, and whatever else lines on stdin say below it.
one_replica() {
  scale 1
  { printf 'services:\n  replica:\n' && sed 's/^/    /'; } >over.yaml
}

@test "process 1 faults: core dump, binary, backtrace; what crashed where is the first thing that is said" {
  command -v gdb >/dev/null || lacking "there is no gdb"
  ODD=core ODD_ONE=1 run -1 seatrial run
  [ "$(summary .verdict)" = crashed ]
  [[ $(summary '.reasons[0]') == "$project-replica-2 on local was ended by signal 4 (Illegal instruction), in give_up at "*"crash.c:"* ]]
  [[ $(summary '.reasons[0]') == *"; core dump in 'local/$project-replica-2/cores/core"* ]]
  [[ $output == *"because   $project-replica-2 on local was ended by signal 4"* ]]
  [[ $output == *"$project-replica-2 left core dumps"* ]]
  [ "$(summary '.containers[] | select(.name | endswith("replica-2")) | .signal')" = 4 ]
  build_id=$(readelf -n "$SEATRIAL_BIN/rig_crash" | sed -n 's/ *Build ID: //p')
  [ "$(summary '.containers[] | select(.name | endswith("replica-2")) | .cores[0].build_id')" = "$build_id" ]
  core=$(find "$(of_replica 2)/cores" -type f ! -name '*.txt')
  [ "$(head -c 4 "$core" | tail -c 3)" = ELF ]
  cmp "$(of_replica 2)/binaries/bin/crash" "$SEATRIAL_BIN/rig_crash"
  [[ $(backtrace_of 2) == *"#0 "*"give_up (witness=1) at "*"crash.c:"*"main "*"all threads"*"Thread 2"*"rest "* ]]
  [ ! -e "$(of_replica 1)/cores" ]
  by_hand=$(backtrace_of 2 | sed -n 's/^by hand *//p')
  [[ $(bash -c "$by_hand -batch -ex bt" 2>&1) == *"give_up (witness=1)"* ]]
  nothing_is_left
}

@test "read-only and without root: a shell's child, a child of one that goes on, one that is started again" {
  scale 4
  cat >over.yaml <<'END'
services:
  replica:
    read_only: true
    user: "1234:1234"
    working_dir: /cores
    entrypoint: [/bin/busybox, sh, -c]
    command:
      - |
        case $$SEATRIAL_INDEX in
          0) ODD=core-wrapped ODD_ONE=0 /bin/busybox sh /bin/replica.sh ;;
          1) ODD=core-child ODD_ONE=1 exec /bin/busybox sh /bin/replica.sh ;;
          2) [ -e /seatrial/out/again ] || { echo begun; : >/seatrial/out/again; exec /bin/crash; }
             exec /bin/busybox sh /bin/replica.sh ;;
          *) exec /bin/busybox sh /bin/replica.sh ;;
        esac
    restart: on-failure:1
END
  LOAD_SECONDS=1 run -1 seatrial -f over.yaml run
  [ "$(summary .verdict)" = crashed ]
  [[ $output != *"may have lost"* ]] # the engine has gone on all the time
  for i in 1 2 3; do
    [[ $(backtrace_of $i) == *"give_up (witness="*"crash.c:"* ]]
    [ -x "$(of_replica $i)/binaries/bin/crash" ]
    summary '.reasons | join("\n")' | grep -q "$project-replica-$i on local was ended by signal 4"
  done
  [ ! -e "$(of_replica 4)/cores" ]
  [[ $(summary '.reasons | join("\n")') == *"/bin/crash, a process of $project-replica-2 on local"* ]]
  [[ $(summary '.containers[] | select(.name | endswith("replica-2")) | [.exit_code, .signal] | @csv') == 0,4 ]]
  nothing_is_left
}

@test "a program with libraries, below a /lib that is a link: the backtrace goes through them" {
  interpreter=$(readelf -l "$SEATRIAL_BIN/rig_crash_shared" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
  lib=$(cut -d/ -f2 <<<"$interpreter")
  mkdir -p root/usr/bin "root/usr/$lib"
  ln -s "usr/$lib" "root/$lib"
  cp "$SEATRIAL_BIN/rig_crash_shared" root/usr/bin/crash
  cp -L "$interpreter" "root$interpreter"
  for library in $(ldd root/usr/bin/crash | sed -n 's/.* => \([^ ]*\) .*/\1/p'); do
    cp -L "$library" "root/$lib/$(basename "$library").moved"
    ln -s "$(basename "$library").moved" "root/$lib/$(basename "$library")"
  done
  echo "COPY root/ /" >>Dockerfile
  one_replica <<END
environment: {LD_LIBRARY_PATH: /$lib}
END
  ODD=core-sorting ODD_ONE=0 run -1 seatrial -f over.yaml run
  [ -x "$(of_replica 1)/binaries/usr/$lib/libc.so.6.moved" ]
  [[ $(backtrace_of 1) == *"give_up (witness=42)"*"compare "*"qsort"*"main "*"crash.c:"* ]]
  [[ $(summary '.reasons[0]') == *"in give_up at "* ]]
  nothing_is_left
}

@test "a core dump that lands elsewhere is foreseen, and found" {
  one_replica <<'END'
working_dir: /seatrial/../bin
END
  ODD=core ODD_ONE=0 run -1 seatrial -f over.yaml run
  [[ $output == *"if a container of service 'replica' on host local leaves a core dump, it appears in '/bin', "*"say \`working_dir: /cores\`"* ]]
  [[ $(summary '.reasons[0]') == *"in give_up at "*"; core dump in 'local/$project-replica-1/cores/core"* ]]
  nothing_is_left
}

@test "a runner that was killed: down finds the core dump, and says where it crashed" {
  one_replica <<'END'
command: [-c, "ODD=core-child ODD_ONE=0 exec /bin/busybox sh /bin/replica.sh"]
END
  LOAD_SECONDS=3600 "$SEATRIAL_BIN/seatrial" -f compose.yaml -f over.yaml --progress plain run >out 2>&1 3>&- &
  pid=$!
  eventually grep -q 'ok start .*loader-1' out
  kill -KILL "$pid"
  wait "$pid" || true
  run -1 seatrial -f over.yaml down
  [[ $output == *"verdict     crashed"*"because   /bin/crash, a process of $project-replica-1 on local was ended by signal 4"*"in give_up at "* ]]
  [ "$(summary .verdict)" = crashed ]
  [[ $(backtrace_of 1) == *"give_up (witness=7)"* ]]
  nothing_is_left
}

@test "without gdb the way to the backtrace is told" {
  one_replica <<'END'
x-seatrial: {role: replica}
working_dir: /seatrial/cores
END
  sed -i 's/, cores: .cores//' compose.yaml
  mkdir without
  for tool in cat df tail env; do ln -s "$(command -v "$tool")" without/; done
  ODD=core ODD_ONE=0 PATH=$folder/without run -1 seatrial -f over.yaml run
  [[ $output == *"there is no gdb here: '"*"/cores/core"*".backtrace.txt' says how to get the backtrace by hand"* ]]
  [[ $(backtrace_of 1) == *"by hand    gdb "*"binaries/bin/crash"*"There is no gdb on this machine"* ]]
  [[ $(summary '.reasons[0]') == "$project-replica-1 on local was ended by signal 4 (Illegal instruction); core dump in '"* ]]
  nothing_is_left
}

@test "out of memory: the limit is told" {
  one_replica <<'END'
mem_limit: 16m
memswap_limit: 16m
entrypoint: [/bin/busybox, sh, -c]
command: ['x=xxxxxxxxxxxxxxxx; : >/seatrial/out/ready; while :; do x=$$x$$x; done']
END
  run -1 seatrial -f over.yaml run
  [[ $(summary '.reasons[0]') == "$project-replica-1 on local was killed: out of memory (it may use 16.0 MiB"*")" ]]
  [ "$(summary '.containers[] | select(.name | endswith("replica-1")) | .memory_limit_bytes')" = 16777216 ]
  nothing_is_left
}

@test "doctor --crash-test on this machine's engine, for a user whom only the image knows" {
  one_replica <<'END'
x-seatrial: {role: replica}
working_dir: /seatrial/cores
user: somebody
END
  sed -i 's/, cores: .cores//' compose.yaml
  run -0 --separate-stderr seatrial -f over.yaml doctor --crash-test
  [[ $output == *"crash test "*"good "*"replica: a core dump of "*" KiB arrived in '/seatrial/cores' (of user 65534"* ]]
  [ -z "$(docker images --quiet --filter reference=seatrial-crash-test)" ]
  [ -z "$(docker volume ls --quiet --filter name=seatrial-crash)" ]
  nothing_is_left
}
