# shellcheck shell=bash disable=SC2154 # variables of tests
# What tests against moto share: an EC2 of this machine's own, which checks signatures.

# For setup_file. $moto_root, $AWS_ENDPOINT_URL, keys of a user who may do all, and no others.
need_moto() {
  need_root
  moto_root=$("$SEATRIAL_SOURCE/tests/rig/parts" moto 3>&-) || lacking "there is no moto"
  export moto_root AWS_EC2_METADATA_DISABLED=true HOME=$BATS_FILE_TMPDIR XDG_STATE_HOME=$BATS_FILE_TMPDIR/state
  unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
  chroot "$moto_root" moto_server -H 127.0.0.1 -p 0 >"$BATS_FILE_TMPDIR/moto.log" 2>&1 3>&- &
  echo $! >"$BATS_FILE_TMPDIR/moto.pid"
  local address
  address=$(timeout 60 sh -c "until sed -n 's/.*Running on \(http[^ ]*\).*/\1/p' '$BATS_FILE_TMPDIR/moto.log' | grep .; do sleep 0.05; done")
  export AWS_ENDPOINT_URL=$address
  eval "$(moto_python "$SEATRIAL_SOURCE/tests/rig/ec2/user.py" "$address")"
}

end_moto() {
  [ ! -e "$BATS_FILE_TMPDIR/moto.pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/moto.pid")"
}

# A script of ours by moto's own Python, which has boto3.
moto_python() {
  chroot "$moto_root" python3 - "${@:2}" <"$1" 3>&-
}

# need_witness NAME TOKEN [MOTO]: signatures.py in front of moto, or alone; prints its address. `seen` tells what it saw.
need_witness() {
  chroot "$moto_root" python3 -c "$(cat "$SEATRIAL_SOURCE/tests/rig/ec2/signatures.py")" "$AWS_ACCESS_KEY_ID" \
    "$AWS_SECRET_ACCESS_KEY" "$2" "${3:-}" >"$BATS_FILE_TMPDIR/$1" 2>"$BATS_FILE_TMPDIR/$1.log" 3>&- &
  echo $! >"$BATS_FILE_TMPDIR/$1.pid"
  timeout 60 sh -c "until grep http '$BATS_FILE_TMPDIR/$1'; do sleep 0.05; done"
}

end_witness() {
  [ ! -e "$BATS_FILE_TMPDIR/$1.pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/$1.pid")"
}

# A number that it has counted: requests, signatures, wrong, invalid, or calls of an action.
seen() {
  curl -s "$AWS_ENDPOINT_URL/seen" | tr ' ' '\n' | sed -n "s/^$1=//p" | grep . || echo 0
}
