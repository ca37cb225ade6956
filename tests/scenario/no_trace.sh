#!/usr/bin/env bash
# A compute node that may write anywhere leaves nothing of a person anywhere: not
# while it answers, and not when it or its supervisor crashes in the middle.  It runs
# in a root of its own whose every write lands in one place, which is searched.
# limit_s: 180
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

[[ $HEARTH_BUILD != *sanitize* ]] || skip 'a sanitizer writes reports'
[ "$(id -u)" = 0 ] || skip 'not root: no file systems of its own can be made'
jail=$T/jail
mkdir "$jail"
mount -t tmpfs jail "$jail" 2>/dev/null || skip 'no file system can be mounted here'
end_jail() {
	local code=$? name
	set +e
	for name in "${!PID[@]}"; do kill -9 "${PID[$name]}" 2>/dev/null; done
	wait 2>/dev/null
	umount "$jail"
	(exit $code)
	scenario_end
}
trap end_jail EXIT
mkdir "$jail"/{up,work,root,shm}

canary=$(head -c 20 /dev/urandom | base32 | tr -d =)
slow_model "$T/slow.gguf"
data_init
compute_init box
pair box
mkdir "$T/models"
mv "$T/slow.gguf" "$T/models"

# in_jail COMMAND...: the host's files below, all writes in $jail/up, $jail/shm and the
# node's own directory; as many and as large core files as it likes.
in_jail() {
	# shellcheck disable=SC2016 # the inner shell's
	exec unshare -m bash -c 'set -e
		J=$0 T=$1 BUILD=$2
		shift 2
		mount -t overlay jail -o "lowerdir=/,upperdir=$J/up,workdir=$J/work" "$J/root"
		for dir in /proc /sys /dev; do mount --rbind $dir "$J/root$dir"; done
		mount --bind "$J/shm" "$J/root/dev/shm"
		for dir in "$BUILD" "$T/box" "$T/models"; do
			mkdir -p "$J/root$dir"
			mount --bind "$dir" "$J/root$dir"
		done
		ulimit -c unlimited
		exec chroot "$J/root" env -C "$T/box" "$@"' "$jail" "$T" "$HEARTH_BUILD" "$@"
}
jail_start() {
	node_start box in_jail "$COMPUTE" serve --dir "$T/box" --model "$T/models/slow.gguf" -t 1 \
		--listen "tcp://127.0.0.1:${COMPUTE_PORT[box]}"
}
if ! (in_jail true) 2>/dev/null; then skip 'no root of its own can be made here'; fi

# Everything the node can write to; its log is what an operator's journal would hold.
places=("$jail/up" "$jail/shm" "$T/box" "$T/models" "$T/box.log" "$T/box.out")
nothing_rests() { # WHEN
	local found
	found=$(grep -rlaiF -- "$canary" "${places[@]}" 2>/dev/null || true)
	[ -z "$found" ] || fail "$1: the canary rests in $found"
	found=$(find "${places[@]}" /dev -xdev -type f \( -name 'core*' -o -size +64M \) 2>/dev/null || true)
	[ -z "$found" ] || fail "$1: a dump: $found"
	found=$(find "$jail/up" "$jail/shm" -type f | head -n 3)
	[ -z "$found" ] || fail "$1: the node wrote $found"
}
jail_start
data_start
wait_for_model slow

# The search sees what is there.
echo "$canary" >"$jail/up/control"
if (nothing_rests control) 2>/dev/null; then fail 'the search is blind'; fi
rm "$jail/up/control"
if [[ $(cat /proc/sys/kernel/core_pattern) != '|'* ]]; then
	# shellcheck disable=SC2016 # the inner shell's
	(in_jail bash -c 'kill -SEGV $$') 2>/dev/null || true
	if (nothing_rests control) 2>/dev/null; then fail 'a core file is not seen'; fi
	find "${places[@]}" -type f -name 'core*' -delete
fi

# In the context of a question, in its own words, and in a plain prompt.
printf '{"source":"phone","id":"k%d","layer":"text","kind":"note","start":"2026-11-19T10:%02d:00Z","text":"the %s number %d"}\n' \
	1 1 "$canary" 1 2 2 "$canary" 2 | send_events /dev/stdin >/dev/null
post_json /v1/chat/completions "{\"model\":\"hearth\",\"max_tokens\":8,\"messages\":[{\"role\":\"user\",\"content\":\"What about $canary on 19 November 2026?\"}]}" >"$T/answer"
grep -q "$canary" "$T/answer" || fail 'the canary did not come with the answer, so nothing was tested'
ask="{\"model\":\"slow\",\"prompt\":\"the day of $canary was\",\"max_tokens\":200,\"temperature\":0.9,\"seed\":11,\"ignore_eos\":true,\"stream\":true}"
stream /v1/completions "$ask" "$T/whole"
stream_wait
sse_text "$T/whole" >"$T/whole.txt"
nothing_rests 'after answers'

# Crashes in mid-answer: of the worker, which is started again, and of both.
for signal in SEGV ABRT; do
	before=$(count_in_log box SERVE-WORKER-GONE)
	stream /v1/completions "$ask" "$T/cut"
	wait_until 60 'some of the answer' has_text "$T/cut" 40
	kill -$signal "$(worker_of box)"
	stream_wait
	[ "$(count_in_log box SERVE-WORKER-GONE)" -gt "$before" ] || fail "SIG$signal did not end the worker"
	sse_text "$T/cut" | cmp "$T/whole.txt" - || fail "SIG$signal of the worker: the text differs"
	nothing_rests "SIG$signal of the worker"

	stream /v1/completions "$ask" "$T/cut"
	wait_until 60 'some of the answer' has_text "$T/cut" 40
	kill -$signal "${PID[box]}"
	wait_until 10 "SIG$signal ends the supervisor" gone box
	nothing_rests "SIG$signal of the supervisor"
	jail_start
	stream_wait
	sse_text "$T/cut" | cmp "$T/whole.txt" - || fail "SIG$signal of the supervisor: the text differs"
done
node_stop box
nothing_rests 'at the end'
