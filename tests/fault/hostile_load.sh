#!/usr/bin/env bash
# A compute node under load at its worst, with a tenth more memory than its plan:
# every request is answered or refused with a reason, the kernel kills nothing, and
# the threads that compute take no memory and map none.
#
#   tests/fault/hostile_load.sh [REQUESTS]   default 180; from 5,000 on its rate is held
#                                            to 0.9 of a calm run with as many at once
# limit_s: 180
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

[[ $HEARTH_BUILD != *sanitize* ]] || skip 'sanitizers keep memory of their own'
requests=${1:-180}
context=1024 slots=4
slow_model "$T/m.gguf"
"$COMPUTE" plan "$T/m.gguf" --context $context --parallel $slots --json >"$T/plan"
plan=$(jq .total_bytes "$T/plan")
limit=$((plan + plan / 10))

# A memory control group of the test's own; without one the load runs unlimited.
group=
memory_group() {
	local v1=/sys/fs/cgroup/memory v2=/sys/fs/cgroup
	if [ -f $v1/memory.limit_in_bytes ]; then
		group=$v1/hearth-test-$$ file=memory.limit_in_bytes
	elif grep -qw memory $v2/cgroup.subtree_control 2>/dev/null; then
		group=$v2/hearth-test-$$ file=memory.max
	else
		return 1
	fi
	mkdir "$group" 2>/dev/null && echo $limit >"$group/$file"
}
if [ "$(id -u)" != 0 ] || ! memory_group; then
	group=
	echo 'no memory control group can be made here: the load runs without a limit'
fi
oom_kills() {
	[ -z "$group" ] || sed -n 's/^oom_kill //p' "$group/memory.oom_control" "$group/memory.events" 2>/dev/null
}
end_group() {
	local code=$?
	set +e
	for name in "${!PID[@]}"; do kill -9 "${PID[$name]}" 2>/dev/null; done
	wait 2>/dev/null
	[ -z "$group" ] || rmdir "$group"
	(exit $code)
	scenario_end
}
trap end_group EXIT

compute_init box
in_group() { # COMMAND...
	# shellcheck disable=SC2016 # the inner shell's
	exec bash -c '[ -z "$0" ] || echo $$ >"$0/cgroup.procs"; exec env HEARTH_COUNT_FILE="$1" LD_PRELOAD="$2" "${@:3}"' \
		"$group" "$T/count" "$HEARTH_BUILD/tests/fault/shim_count.so" "$@"
}
node_start box in_group "$COMPUTE" serve --dir "$T/box" --model "$T/m.gguf" --context $context \
	--parallel $slots --listen "tcp://127.0.0.1:${COMPUTE_PORT[box]}"

# What the threads named have taken since the start: calls, bytes, mappings, bytes.
taken() { # NAME
	od -An -v -t u8 -w56 "$T/count" >"$T/rows"
	od -An -v -t c -w56 "$T/count" | awk '{ s = ""; for (i = 1; i <= 16; i++) if ($i != "\\0") s = s $i; print s }' >"$T/names"
	paste "$T/names" "$T/rows" | awk -v name="$1" '$1 == name { print $4, $5, $6, $7 }'
}
load() { # FLAGS...
	"$TOOLS/compute_load" --address "tcp://127.0.0.1:${COMPUTE_PORT[box]}" --key "${COMPUTE_KEY[box]}" \
		--allow "$T/box/allow" --model m --context $context --slots $slots "$@"
}
anon_kib() {
	sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$(worker_of box)/status"
}
# Calm and hostile by turns, so that what else the machine does falls on both.
rounds=$(((requests + 499) / 500))
for ((round = 1; round <= rounds; round++)); do
	load --requests $((requests / 4 / rounds)) --seed $round >>"$T/calm" ||
		fail "calm, round $round: $(tail -n 1 "$T/calm")"
	[ $round != 1 ] || calm_kib=$(anon_kib)
	load --requests $((requests / rounds)) --hostile --seed $((100 + round)) >>"$T/hostile" ||
		fail "hostile, round $round: $(tail -n 1 "$T/hostile")"
done
sums() { # FILE: of all rounds
	jq -sc 'def all(f): [.[] | f] | add;
		(map(to_entries) | add | group_by(.key) |
			map({ key: .[0].key, value: (map(.value) | add) }) | from_entries) +
		{ tps: (all(.tps * .seconds) / all(.seconds) | round),
		  prompt_tps: (all(.prompt_tps * .seconds) / all(.seconds) | round),
		  answer_tps: (all(.answer_tps * .seconds) / all(.seconds) | round) }' "$1"
}
sums "$T/calm" >"$T/calm.sum"
sums "$T/hostile" >"$T/hostile.sum"
echo "plan $plan bytes, limit $([ -n "$group" ] && echo $limit || echo none)"
echo "calm     $(cat "$T/calm.sum")"
echo "hostile  $(cat "$T/hostile.sum")"
[ -z "$group" ] || echo "most memory used: $(cat "$group/memory.max_usage_in_bytes" "$group/memory.peak" 2>/dev/null)"

# What libraries hold for messages and what requests take has a bound as well.
bound=$(($(jq .request_bytes "$T/plan") / 1024))
grown=$(($(anon_kib) - calm_kib))
echo "anonymous memory: $calm_kib KiB after the first calm run, $grown more at the end, $bound may be"
[ $grown -le $bound ] || fail 'requests and messages take too much memory'

for thread in scheduler crew; do
	expect "what the threads '$thread' took" "$(taken $thread)" '0 0 0 0'
done
[[ $(taken wire-server) =~ ^[1-9] ]] || fail 'nothing was counted at all'
expect 'kills for want of memory' "$(oom_kills | head -n 1 | grep -v '^0$' || true)" ''
expect 'restarts of the worker' "$(count_in_log box SERVE-WORKER-GONE)" 0
for reason in context busy no_lease no_model timeout; do
	jq -e ".$reason > 0" "$T/hostile.sum" >/dev/null || fail "nothing was refused for $reason"
done
jq -e '.cut > 0 and .done > 0' "$T/hostile.sum" >/dev/null || fail 'no link was cut, or nothing was answered'
ratio=$(jq -n --slurpfile a "$T/calm.sum" --slurpfile b "$T/hostile.sum" '$b[0].tps / $a[0].tps')
echo "tokens a second of the hostile run: $ratio of the calm one's"
if [ "$requests" -ge 5000 ]; then
	jq -en "$ratio >= 0.9" >/dev/null || fail 'the load slows accepted work down'
fi
node_stop box
