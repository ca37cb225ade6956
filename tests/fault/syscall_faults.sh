#!/usr/bin/env bash
# The Nth write, sync, rename, link or truncation fails: with EIO, ENOSPC, EINTR
# or a short count.  After an I/O error the store refuses every append until it
# is opened anew; then nothing acknowledged is missing and nothing is there in
# part.
#
#   tests/fault/syscall_faults.sh [all]    every N; default: a sample of them
# limit_s: 300
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

shim=$HEARTH_BUILD/tests/fault/shim_fail.so
[[ $HEARTH_BUILD != *sanitize* ]] || skip 'the shim comes before the runtime of an instrumented program'
points=6
[ "${1:-}" != all ] || points=1000000
batches=12

# run_with FAULT: a fresh store under this fault, then checked without it.
run_with() {
	rm -rf "$T/data" "$T/marks"
	local code=0
	HEARTH_FAULT_DIR=$T/data HEARTH_FAULT=$1 LD_PRELOAD=$shim \
		"$TOOLS/data_workload" run "$T/data" "$T/marks" 1 $batches 2>"$T/run.err" || code=$?
	if [ $code != 0 ]; then
		tail -n 5 "$T/marks" "$T/run.err" >&2
		fail "$1: the workload ends with $code"
	fi
	"$TOOLS/data_workload" check "$T/data" "$T/marks" >/dev/null 2>"$T/check.err" ||
		fail "$1: $(cat "$T/check.err"), after: $(grep -c '^A' "$T/marks") acknowledged, $(grep '^E' "$T/marks" | head -n 2)"
}

HEARTH_FAULT_DIR=$T/data HEARTH_FAULT_COUNT=$T/counts LD_PRELOAD=$shim \
	"$TOOLS/data_workload" run "$T/data" "$T/marks" 1 $batches
runs=0 refused=0
for call in write pwrite writev fsync fdatasync rename link ftruncate open; do
	count=$(sed -n "s/^$call //p" "$T/counts")
	[ "$count" -gt 0 ] || continue
	hows='EIO ENOSPC EINTR'
	[[ $call != *write* ]] || hows="$hows short"
	for how in $hows; do
		step=$(((count + points - 1) / points))
		for ((n = 1 + (runs % step); n <= count; n += step)); do
			run_with "$call:$n:$how"
			runs=$((runs + 1))
			! grep -q '^E' "$T/marks" || refused=$((refused + 1))
			if [ $how = EIO ] && [[ $call == f*sync ]]; then
				grep -q '^E' "$T/marks" || fail "$call:$n:$how: nobody was told"
			fi
		done
	done
done
[ $refused -gt $((runs / 4)) ] || fail "only $refused of $runs faults were noticed"
echo "$runs faults, $refused of them refused something"
