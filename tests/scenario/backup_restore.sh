#!/usr/bin/env bash
# Backups of a node that serves, grown and restored: the same events, search
# results and slices, byte for byte, and the same tokens; killed in the middle
# the backup before it stands; damage is named.
# limit_s: 120
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

dest=$T/disk/backup
mkdir "$T/disk"

events() { # FIRST LAST
	local i
	for ((i = $1; i <= $2; i++)); do
		printf '{"source":"phone","id":"n%d","layer":"text","kind":"note","start":%d,"text":"note %d about the harbour"}\n' \
			"$i" $((1795100000000000000 + i * 7000000000)) "$i"
		printf '{"source":"watch","id":"h%d","layer":"behaviour","kind":"heart_rate","start":%d,"data":{"bpm":%d}}\n' \
			"$i" $((1795100000000000000 + i * 7000000000)) $((60 + i % 40))
		printf '{"source":"hub","id":"l%d","layer":"home","kind":"light","start":%d,"data":{"name":"desk","on":%s}}\n' \
			"$i" $((1795100000000000000 + i * 60000000000)) "$([ $((i % 2)) = 0 ] && echo true || echo false)"
	done >"$T/events"
}
# shown FILE: everything a client can see, from the node at $DATA_PORT.  But for the state
# of slices: what is sealed follows from when records came and what time it is.
shown() {
	api GET '/api/v1/events?limit=10000' >"$1.events"
	api GET '/api/v1/search?q=harbour&k=50' >"$1.search"
	api GET '/api/v1/slices?from=1795100000000000000&to=1795107200000000000&step=60' |
		jq -c 'del(.slices[].state)' >"$1.slices"
	expect_match "slices of $1" "$(jq '.slices | length' "$1.slices")" '^[1-9]'
}
same() { # WHAT FILE FILE
	local part
	for part in events search slices; do
		cmp "$2.$part" "$3.$part" || fail "$1: other $part"
	done
}

data_init
# Slices by a policy of its own, at the restored node too.
echo '{"version":7,"facets":{"body":{"nearest_s":2,"blend":"none","carry":"never"}}}' >"$T/data/policy.json"
data_start
events 1 400
send_events "$T/events" >/dev/null
data_cli backup "$dest" >"$T/out"
grep -q 'first copy: 1200 records' "$T/out" || fail "first run: $(cat "$T/out")"
grep -q 'The key is not in it' "$T/out" || fail 'it does not say where the key is not'
find "$T/disk" -type f -perm /077 | grep . && fail 'a file of the backup is open to others'
grep -rqF -e harbour -e "$(head -c 64 "$T/data/key")" "$T/disk" && fail 'words or the key in a backup'

# ---- grown, while events come in --------------------------------------------------------
events 401 500
send_events "$T/events" >/dev/null
data_cli device add watch >/dev/null
data_cli backup "$dest" --verify >"$T/out"
grep -q 'added: 300 records\|added: 1500 records' "$T/out" || fail "second run: $(cat "$T/out")"
grep -q 'verified: 1500 records' "$T/out" || fail "second run: $(cat "$T/out")"
data_cli status | grep -q "up to event 1500 .*$dest" || fail 'status does not name the backup'
shown "$T/before"

# ---- refusals -----------------------------------------------------------------------------
code=0
data_cli backup "$T/data/inside" 2>"$T/err" || code=$?
expect 'a backup in the directory itself' $code 1
mkdir "$T/mine"
touch "$T/mine/letter"
code=0
data_cli backup "$T/mine" 2>"$T/err" || code=$?
expect 'a backup among other files' $code 1
expect 'what is left there' "$(ls "$T/mine")" letter

# ---- killed in the middle -------------------------------------------------------------------
events 501 2500
send_events "$T/events" >/dev/null
for _ in 1 2 3; do
	data_cli backup "$dest" >/dev/null 2>&1 &
	PID[client]=$!
	wait_until 30 'the backup has begun' sh -c "ls '$dest' | grep -q unfinished || ! kill -0 ${PID[client]} 2>/dev/null"
	node_kill data
	{ wait "${PID[client]}" || true; } 2>/dev/null
	unset "PID[client]"
	data_cli verify --backup "$dest" >/dev/null || fail 'the backup after a kill'
	data_start
done

# ---- restored --------------------------------------------------------------------------------
node_stop data
rm -rf "$T/again"
code=0
data_cli backup "$T/mine" 2>"$T/err" || code=$?
expect 'a backup among other files, by a command alone' $code 1
grep -q 'mine is not empty' "$T/err" || fail "it does not say why: $(cat "$T/err")"
cp -r "$dest" "$T/copy" # what is copied with cp is a backup too
code=0
"$DATA" restore "$T/copy" --dir "$T/data" --key-file "$T/data/key" 2>"$T/err" || code=$?
expect 'restore over a node' $code 1
code=0
"$DATA" restore "$T/copy" --dir "$T/again" 2>"$T/err" || code=$?
expect 'restore without the key' $code 1
grep -q -- '--key-file' "$T/err" || fail 'restore without the key does not say what to do'
cp "$T/data/key" "$T/again/key"
"$DATA" restore "$T/copy" --dir "$T/again" >"$T/out" || fail 'restore'
grep -q 'restored and verified' "$T/out"
cmp "$T/data/tls.key" "$T/again/tls.key" || fail 'devices that know the pin must pair anew'
mv "$T/data" "$T/old"
mv "$T/again" "$T/data"
data_start
expect 'the token still opens it' "$(status_of GET /api/v1/status)" 200
data_cli device list | grep -q watch || fail 'the device is gone'
expect 'its wire key' "$(data_cli status | sed -n 's/^key  *//p')" "$DATA_KEY"
expect 'its records' "$(data_cli status --json | jq .store.records)" \
	"$(data_cli verify --backup "$dest" | sed -n 's/ records.*//p')"
events 501 2500
send_events "$T/events" >/dev/null
events 1 500
send_events "$T/events" | jq -e '.accepted == 0' >/dev/null || fail 'what it held is taken twice'
shown "$T/grown"
node_stop data
data_cli rebuild >/dev/null
data_start
shown "$T/after"
same 'after a rebuild' "$T/grown" "$T/after"
node_stop data
mv "$T/data" "$T/again"
mv "$T/old" "$T/data"
data_start
shown "$T/now"
same 'the old node and the restored one' "$T/now" "$T/after"
expect 'the policy of both' "$(jq .policy "$T/after.slices")" 7

# ---- all is lost but the backup and the recovery key on paper --------------------------------
node_stop data
mkdir "$T/lost"
mv "$T/data" "$T/lost/"
sed -n 's/^recovery key: //p' "$T/data.init" >"$T/paper"
code=0
data_cli restore "$dest" --recovery-file "$T/paper" --key-file "$T/lost/data/key" 2>"$T/err" || code=$?
expect 'two keys at once' $code 2
code=0
data_cli restore "$dest" --key-file "$T/paper" 2>"$T/err" || code=$?
expect 'the recovery key as a key file' $code 1
[ -z "$(ls "$T/data")" ] || fail "a restore with a wrong key left: $(ls "$T/data")"
data_cli restore "$dest" --recovery-file <(cat "$T/paper") >"$T/out" || fail 'restore by the recovery key'
grep -q 'A new key file opens it' "$T/out" || fail "it does not say what opens it: $(cat "$T/out")"
data_cli verify >/dev/null || fail 'verify after restoring by the recovery key'
data_start
shown "$T/paper-back"
expect 'records restored by paper' "$(data_cli status --json | jq .store.records)" "$(data_cli verify --backup "$dest" | sed -n 's/ records.*//p')"
data_cli backup "$dest" --verify >/dev/null || fail 'the next run of the backup'
node_stop data
rm -rf "$T/data"
mv "$T/lost/data" "$T/data"
data_start

# ---- damage ----------------------------------------------------------------------------------
for file in "$T/copy"/log-* "$T/copy"/keyring-* "$T/copy"/manifest; do
	at=$(($(stat -c %s "$file") / 2))
	byte=$(dd if="$file" bs=1 skip=$at count=1 status=none | od -An -tu1)
	printf "\\$(printf %o $((byte ^ 4)))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
	code=0
	data_cli verify --backup "$T/copy" >"$T/out" 2>&1 || code=$?
	expect "verify with a flipped bit in $(basename "$file")" $code 4
	code=0
	"$DATA" restore "$T/copy" --dir "$T/none" --key-file "$T/data/key" 2>"$T/err" || code=$?
	expect "restore with a flipped bit in $(basename "$file")" $code 4
	[ ! -e "$T/none/catalogue.sqlite" ] || fail 'a damaged backup was restored'
	printf "\\$(printf %o $((byte)))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
done
