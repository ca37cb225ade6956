#!/usr/bin/env bash
# Power cuts: a store is made and written by several threads while every write
# and sync is logged; then, at each sync, images of what a disk may hold are
# opened and checked (what was forgotten is gone and the rest is whole, acknowledged ⊆ stored ⊆ sent, whole batches, verify clean,
# an init that was cut off can be finished, and appending goes on).
#
#   tests/fault/power_cut.sh [IMAGES]    default 1500; 0: a longer workload, all
#                                        images, and 16 random choices a sync
# limit_s: 120
# In memory where there is some: an image costs no real sync then.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

images=${1:-1500} seed=${SEED:-1}
shim=$HEARTH_BUILD/tests/fault/shim_log.so
[[ $HEARTH_BUILD != *sanitize* ]] || skip 'the shim comes before the runtime of an instrumented program'
batches=16
[ "$images" != 0 ] || batches=60

HEARTH_LOG_DIR=$T/data HEARTH_LOG_FILE=$T/log HEARTH_LOG_MARK=$T/marks LD_PRELOAD=$shim \
	"$TOOLS/data_workload" run "$T/data" "$T/marks" 3 $batches
"$TOOLS/data_workload" check "$T/data" "$T/marks"
forgets=$(grep -c '^G' "$T/marks")
expect 'forgettings done' "$forgets" $((batches / 6))
expect 'batches acknowledged' "$(grep -c '^A' "$T/marks")" $((3 * (batches + batches / 5) + forgets))

"$TOOLS/data_replay" "$T/log" "$T" "$images" "$seed" || fail "an image is not what it must be (seed $seed)"

# A disk that lies about every second sync must not get through.
code=0
"$TOOLS/data_replay" "$T/log" "$T" 300 "$seed" lie >"$T/lie" || code=$?
expect 'a disk that forgets syncs is found out' "$code" 1
