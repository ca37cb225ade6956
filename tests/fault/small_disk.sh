#!/usr/bin/env bash
# A small disk fills up: appends are refused (507) and nothing is half-stored,
# reads, verify and forgetting go on, the last one also when others have taken
# every byte; and with room again so do appends, without a restart.  A backup to a
# small disk says so, and what it held before stands.
# limit_s: 120
# A mount namespace of its own, so that the small disk goes with the test.
if [ "${HEARTH_SMALL_DISK:-}" != 1 ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
		echo 'skipped: a small tmpfs needs root'
		exit 77
	fi
	HEARTH_SMALL_DISK=1 exec unshare -m "$BASH" "$0" "$@"
fi
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

small_disk_end() {
	local code=$?
	set +e
	umount -l "$T/small" "$T/data" "$T/copies" 2>/dev/null
	(exit $code)
	scenario_end
}
trap small_disk_end EXIT

small_disk() { # PATH SIZE
	mkdir -p "$1"
	mount -t tmpfs -o "size=$2" none "$1" || skip 'no tmpfs can be mounted'
}
filler() { # PATH: a file that can make room
	head -c 1048576 /dev/zero >"$1/filler"
}

# ---- the store by itself ---------------------------------------------------------
small_disk "$T/small" 6m
filler "$T/small"
mkfifo "$T/go"
"$TOOLS/data_workload" fill "$T/small/data" "$T/marks" >"$T/fill.out" 2>"$T/fill.log" <"$T/go" &
PID[fill]=$!
exec 9>"$T/go"
full_or_gone() {
	grep -q full "$T/fill.out" || gone fill
}
wait_until 60 'the disk is full' full_or_gone
grep -q full "$T/fill.out" || fail "the store breaks on a full disk: $(grep '^E' "$T/marks" | tail -n 2)"
rm "$T/small/filler"
echo go >&9
exec 9>&-
wait_until 30 'the workload ends' gone fill
code=0
wait "${PID[fill]}" || code=$?
unset "PID[fill]"
expect 'exit code of the workload with room again' $code 0
"$TOOLS/data_workload" check "$T/small/data" "$T/marks"

# ---- the data node -----------------------------------------------------------------
small_disk "$T/data" 8m
data_init
filler "$T/data"
data_start
text=$(head -c 3000 /dev/zero | tr '\0' x)
batch() { # NUMBER
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		printf '{"source":"phone","id":"%d-%d","layer":"text","kind":"note","start":%d,"text":"%s"}\n' \
			"$1" $i $((1795100000000000000 + $1 * 10000000000 + i)) "$text" >>"$T/batch"
	done
}
post_batch() { # NUMBER: the status
	: >"$T/batch"
	batch "$1"
	status_of POST /api/v1/events -H 'Content-Type: application/x-ndjson' --data-binary "@$T/batch"
}
n=0 status=200
while [ "$status" = 200 ] && [ $n -lt 1000 ]; do
	n=$((n + 1))
	status=$(post_batch $n)
done
expect 'status on a full disk' "$status" 507
expect 'type of the error' "$(jq -r '.error.type // empty' "$T/body" | grep -c .)" 1
expect 'it can be read' "$(status_of GET '/api/v1/events?limit=10')" 200
expect 'it is well' "$(status_of GET /api/v1/status)" 200
expect 'and refuses again' "$(post_batch $n)" 507
rm "$T/data/filler"
expect 'it takes more with room again' "$(post_batch $n)" 200

# Somebody else takes the rest, to the last byte.
[ -s "$T/data/ballast" ] || fail 'there is no ballast'
dd if=/dev/zero of="$T/data/others" bs=64k status=none 2>/dev/null || true
expect 'refused without a byte left' "$(post_batch 2000)" 507
to=$((1795100000000000000 + n / 2 * 10000000000))
expect 'forgetting without a byte left' "$(status_of POST /api/v1/forget --data-binary "{\"to\":$to}")" 200
forgotten=$(jq .forgotten "$T/body")
[ "$forgotten" -ge $((n * 4)) ] || fail "only $forgotten were forgotten"
[ ! -e "$T/data/ballast" ] || fail 'the ballast was not let go of'
expect 'what is left can be read' "$(status_of GET '/api/v1/events?limit=10')" 200
expect 'what was forgotten is gone' "$(api GET "/api/v1/events?limit=1&to=$to" | jq '.events | length')" 0
expect 'its room is not for appends' "$(post_batch 2000)" 507
rm "$T/data/others"
node_stop data
data_cli verify >/dev/null || fail 'verify after a full disk'
data_start
[ -s "$T/data/ballast" ] || fail 'the ballast was not made again'
expect 'and it takes more' "$(post_batch 2000)" 200
node_stop data
data_cli verify >/dev/null || fail 'verify at the end'

# ---- a backup -------------------------------------------------------------------------
mkdir -p "$T/copies"
small_disk "$T/copies" 16m
data_cli backup "$T/copies/backup" >"$T/out" || fail 'a backup to a disk with room'
data_start
expect 'one more batch' "$(post_batch 2001)" 200
dd if=/dev/zero of="$T/copies/others" bs=64k status=none 2>/dev/null || true
for dest in backup first; do
	code=0
	data_cli backup "$T/copies/$dest" >"$T/out" 2>&1 || code=$?
	expect "a backup to a full disk: $(cat "$T/out")" $code 1
	grep -q 'there is no room in' "$T/out" || fail "a full disk: $(cat "$T/out")"
done
data_cli status | grep -q 'the last run failed: there is no room' || fail 'status does not tell'
data_cli verify --backup "$T/copies/backup" >"$T/out" || fail 'the backup before does not stand'
rm "$T/copies/others"
data_cli backup "$T/copies/backup" --verify >"$T/out" || fail "with room again: $(cat "$T/out")"
umount -l "$T/copies"
node_stop data
