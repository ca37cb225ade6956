#!/usr/bin/env bash
# No memory: the Nth allocation fails, for every N, while events are taken in,
# appended, read, verified, indexed and while the store is opened.  What comes back is a
# typed error or success; the store holds whole batches and what it acknowledged.
# limit_s: 120
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

shim=$HEARTH_BUILD/tests/fault/shim_fail.so
[[ $HEARTH_BUILD != *sanitize* ]] || skip 'an instrumented program brings an allocator of its own'

LD_PRELOAD=$shim "$TOOLS/data_workload" allocations "$T/data" "$T/marks"
"$TOOLS/data_workload" check "$T/data" "$T/marks"
