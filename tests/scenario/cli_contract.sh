#!/usr/bin/env bash
# Every command of the contract that exists: names, exit codes, shapes.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

code_of() { # COMMAND...: exit code; output in $T/out and $T/err
	local code=0
	timeout 60 "$@" >"$T/out" 2>"$T/err" </dev/null || code=$?
	echo $code
}
usage() { # WHAT COMMAND...: exit code 2 and a hint on standard error
	local what=$1
	shift
	expect "$what" "$(code_of "$@")" 2
	[ -s "$T/err" ] || fail "$what: nothing on standard error"
	[ ! -s "$T/out" ] || fail "$what: something on standard output"
}

# ---- usage -----------------------------------------------------------------------
for program in "$DATA" "$COMPUTE"; do
	usage "$program alone" "$program"
	usage "$program nonsense" "$program" nonsense
	expect "$program --help" "$(code_of "$program" --help)" 0
	[ -s "$T/out" ] || fail "$program --help prints nothing"
done
compute_commands=(init allow serve run logits tokenize bench inspect)
data_commands=(init serve compute device import events slices episodes policy search memory ask forget key status verify rebuild backup restore follow follower)
for command in "${compute_commands[@]}"; do
	expect "compute-node $command --help" "$(code_of "$COMPUTE" "$command" --help)" 0
	grep -q 'usage: ' "$T/out" || fail "compute-node $command --help does not say how"
	usage "compute-node $command --no-such-flag" "$COMPUTE" "$command" --no-such-flag
done
for command in "${data_commands[@]}"; do
	expect "data-node $command --help" "$(code_of "$DATA" "$command" --help)" 0
	grep -q 'usage: ' "$T/out" || fail "data-node $command --help does not say how"
	usage "data-node $command --no-such-flag" "$DATA" "$command" --no-such-flag
done
usage 'run without a model' "$COMPUTE" run
usage 'allow without a key' "$COMPUTE" allow --dir "$T/none"
usage 'search without a query' "$DATA" search --dir "$T/none"
usage 'import without a file' "$DATA" import --dir "$T/none"

# ---- before init ---------------------------------------------------------------------
expect_match 'serve without init' "$(code_of "$DATA" serve --dir "$T/none")" '^[13]$'
expect_match 'serve without init' "$(code_of "$COMPUTE" serve --dir "$T/none")" '^[13]$'
[ -s "$T/err" ] || fail 'serve without init says nothing'

# ---- init ---------------------------------------------------------------------------
data_init
expect 'mode of the directory' "$(stat -c %a "$T/data")" 700
find "$T/data" -type f -perm /077 | grep . && fail 'a file of the data node is open to others'
grep -rqF "$TOKEN" "$T/data" && fail 'the token is stored in clear'
compute_init box
expect_match 'mode of the compute directory' "$(stat -c %a "$T/box")" '^7[05]0$'
expect_match 'allow' "$(code_of "$COMPUTE" allow --dir "$T/box" "$DATA_KEY")" '^0$'
expect_match "allow: a bad key" "$(code_of "$COMPUTE" allow --dir "$T/box" 12ab)" "^[12]$"
echo 'correct horse' >"$T/passphrase"
"$DATA" init --dir "$T/phrase" --passphrase-file "$T/passphrase" >"$T/phrase.init" 2>&1 ||
	fail "init --passphrase-file: $(cat "$T/phrase.init")"

# ---- configuration ---------------------------------------------------------------------
printf 'listen = 127.0.0.1:1\nbogus = 1\n' >"$T/bad.conf"
expect 'a bad configuration file' "$(code_of "$DATA" serve --dir "$T/data" --config "$T/bad.conf")" 3
grep -q 'bad.conf:2' "$T/err" || fail "the line is not named: $(cat "$T/err")"
expect_match 'a bad listen address' "$(code_of "$DATA" serve --dir "$T/data" --listen nowhere)" '^[23]$'
expect 'a certificate without its key' "$(code_of "$DATA" serve --dir "$T/data" --listen "0.0.0.0:$DATA_PORT" --tls-cert "$T/bad.conf")" 3
expect_match 'a bad model file' "$(code_of "$COMPUTE" serve --dir "$T/box" --model "$T/bad.conf" --listen tcp://127.0.0.1:1)" '^[13]$'

# ---- with nothing serving: commands work on the store itself ---------------------------
cat >"$T/day" <<'END'
{"source":"phone","id":"e1","layer":"text","kind":"note","start":"2026-11-19T18:30:00Z","text":"walnuts from the market"}
{"source":"home","id":"e2","layer":"home","kind":"light","start":"2026-11-19T18:31:00Z","shape":"state","data":{"state":"on"}}
END
cat >"$T/day2" <<'END'
{"source":"phone","id":"e3","layer":"text","kind":"note","start":"2026-11-19T18:40:00Z","text":"figs as well"}
{"source":"phone","id":"broken","layer":"smell","kind":"note","start":"2026-11-19T18:40:00Z"}
END
whole() { # WHAT: the commands that read, the same offline and online
	expect "$1: events --json" "$(data_cli events --from 2026-11-19T00:00:00Z --to 2026-11-20T00:00:00Z --json | jq -cs '[.[] | if has("events") then .events[] else . end | .id] | sort')" "$2"
	data_cli events --from 2026-11-19T00:00:00Z --to 2026-11-20T00:00:00Z | grep -q walnuts || fail "$1: events"
	data_cli slices --from 2026-11-19T18:30:00Z --to 2026-11-19T18:32:00Z --step 60s --json |
		jq -es '[.[] | if has("slices") then .slices[] else . end] | length == 2' >/dev/null || fail "$1: slices"
	data_cli slices --from 2026-11-19T18:30:00Z --to 2026-11-19T18:32:00Z --step 60s | grep -q . || fail "$1: slices for people"
	data_cli search walnuts --json | jq -es '[.[] | if has("results") then .results[] else . end][0].id == "e1"' >/dev/null || fail "$1: search"
	data_cli search walnuts -k 1 | grep -q walnuts || fail "$1: search for people"
	data_cli status --json | jq -e 'type == "object"' >/dev/null || fail "$1: status"
	data_cli status | grep -q . || fail "$1: status for people"
	data_cli verify >/dev/null || fail "$1: verify"
	data_cli memory | grep -q -- '- Likes walnut bread ^f1' || fail "$1: memory"
	data_cli memory history --json | jq -e '.facts[0].by == "owner"' >/dev/null || fail "$1: memory history"
	expect "$1: memory edit without a change" "$(EDITOR=true data_cli memory edit)" 'nothing was changed'
	data_cli ask 'What about the walnuts on 19 November 2026?' >"$T/answer" || fail "$1: ask"
	grep -q 'walnuts from the market' "$T/answer" || fail "$1: the answer has no source"
	data_cli ask 'Which bread do I like?' >"$T/answer" || fail "$1: ask"
	grep -q 'Likes walnut bread (memory f1)' "$T/answer" || fail "$1: an answer without what is known"
}
data_cli import "$T/day" >/dev/null
data_cli import "$T/day" >"$T/again" 2>&1
grep -qE '\b2\b.*dup|dup.*\b2\b' "$T/again" || fail "import twice: $(cat "$T/again")"
printf '## Preferences\n- Likes walnut bread\n' | data_cli memory import - >/dev/null || fail 'memory import'
whole 'nothing serves' '["e1","e2"]'

# ---- the same through the control socket ---------------------------------------------------
data_start
expect 'mode of the control socket' "$(stat -c %a "$T/data/control.sock")" 600
whole 'serving' '["e1","e2"]'
code=0
data_cli import "$T/day2" >"$T/import2" 2>&1 || code=$?
expect 'an import that leaves something out' "$code" 1
grep -qi 'layer' "$T/import2" || fail "import does not name the bad field: $(cat "$T/import2")"
whole 'after an import while serving' '["e1","e2","e3"]'
# What is edited is taken in, and rests nowhere as it is.
EDITOR="sed -i -e '/walnut bread/a - Keeps bees'" data_cli memory edit >"$T/edited" || fail 'memory edit'
expect 'memory edit' "$(cat "$T/edited")" '1 new, 0 changed, 0 ended, 1 as they were'
expect 'an editor that fails' "$(EDITOR=false code_of "$DATA" memory edit --dir "$T/data")" 1
grep -rqF 'Keeps bees' "$T/data" && fail 'a fact is stored in clear'
grep -rlsF 'Keeps bees' /dev/shm "${XDG_RUNTIME_DIR:-/dev/shm}" | grep . && fail 'the edited text is still there'
data_cli memory export "$T/mine.md" 2>/dev/null && expect 'mode of an export' "$(stat -c %a "$T/mine.md")" 600
sed -i '/Keeps bees/d' "$T/mine.md"
expect 'memory import' "$(data_cli memory import "$T/mine.md")" '0 new, 0 changed, 1 ended, 1 as they were'
usage 'memory nonsense' "$DATA" memory nonsense --dir "$T/data"
expect_match 'import of a file that is not there' "$(code_of "$DATA" import --dir "$T/data" "$T/nothing")" '^[13]$'

data_cli compute add box tcp://127.0.0.1:1 "${COMPUTE_KEY[box]}" >/dev/null
data_cli compute list | grep -q box || fail 'compute list'
expect 'the same name twice' "$(code_of "$DATA" compute add --dir "$T/data" box tcp://127.0.0.1:1 "${COMPUTE_KEY[box]}")" 1
expect_match 'a bad address' "$(code_of "$DATA" compute add --dir "$T/data" b2 http://x "${COMPUTE_KEY[box]}")" '^[12]$'
expect_match 'a bad key' "$(code_of "$DATA" compute add --dir "$T/data" b2 tcp://127.0.0.1:1 beef)" '^[12]$'
data_cli compute remove box >/dev/null
expect 'removed twice' "$(code_of "$DATA" compute remove --dir "$T/data" box)" 1

# A device's token: shown once, works, may be limited, can be revoked.
data_cli device add watch --layers behaviour >"$T/device"
device=$(sed -n 's/^.*token: *\([^ ]*\)$/\1/p' "$T/device" | head -1)
[ -n "$device" ] || fail "device add prints no token: $(head -3 "$T/device")"
grep -q '█\|▀\|▄\|##' "$T/device" || fail 'device add draws no QR code'
as_device() { # LAYER
	printf '{"source":"w","layer":"%s","kind":"x","start":"2026-11-17T18:30:00Z"}' "$1" |
		curl -sS -o "$T/body" -w '%{http_code}' -H "Authorization: Bearer $device" --data-binary @- "$(url /api/v1/events)"
}
expect 'a device may write its layer' "$(as_device behaviour)" 200
jq -e '.accepted == 1' "$T/body" >/dev/null || fail 'its event was not taken'
as_device text >"$T/code"
{ [ "$(cat "$T/code")" = 403 ] || jq -e '.accepted == 0' "$T/body" >/dev/null; } || fail 'it may write another layer'
expect 'a limited device may not read' "$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $device" "$(url '/api/v1/events')")" 403
data_cli device list | grep -q watch || fail 'device list'
expect 'rebuild while it serves' "$(code_of "$DATA" rebuild --dir "$T/data")" 1
grep -q 'in use' "$T/err" || fail 'rebuild while it serves: no reason'
data_cli device revoke watch >/dev/null
expect 'a revoked device' "$(as_device behaviour)" 401
node_stop data
[ ! -e "$T/data/control.sock" ] || fail 'the control socket stays behind'

# ---- verify tells damage: exit code 4 --------------------------------------------------------
store=$(find "$T/data" -name data.mdb | head -1)
[ -n "$store" ] || store=$(find "$T/data" -type f -size +8k -printf '%s %p\n' | sort -rn | awk 'NR == 1 { print $2 }')
cp -r "$T/data" "$T/damaged"
damaged=$T/damaged${store#"$T/data"}
size=$(stat -c %s "$damaged")
for at in $(seq 9000 512 "$((size < 400000 ? size : 400000))"); do
	printf '\x5a\x5a\x5a' | dd of="$damaged" bs=1 seek="$at" conv=notrunc status=none
done
expect_match 'verify of a damaged store' "$(code_of "$DATA" verify --dir "$T/damaged")" '^(4|1)$'
expect 'verify of the sound one' "$(code_of "$DATA" verify --dir "$T/data")" 0
data_cli slices --from 2026-11-19T00:00:00Z --to 2026-11-20T00:00:00Z --step 600s --json >"$T/slices1"
expect 'rebuild' "$(code_of "$DATA" rebuild --dir "$T/data")" 0
grep -q ' 0 records unreadable' "$T/out" || fail "rebuild: $(cat "$T/out")"
data_cli slices --from 2026-11-19T00:00:00Z --to 2026-11-20T00:00:00Z --step 600s --json >"$T/slices2"
cmp "$T/slices1" "$T/slices2" || fail 'a rebuild changes slices'
expect 'verify after the rebuild' "$(code_of "$DATA" verify --dir "$T/data")" 0

# ---- compute-node's tools --------------------------------------------------------------------
tiny_model "$T/tiny.gguf" --seed 3
"$COMPUTE" run "$T/tiny.gguf" -p 'the day' -n 5 --temp 0 >"$T/run1"
"$COMPUTE" run "$T/tiny.gguf" -p 'the day' -n 5 --temp 0 -t 1 >"$T/run2"
cmp "$T/run1" "$T/run2" || fail 'the number of threads changes the text'
"$COMPUTE" run "$T/tiny.gguf" -p 'the day' -n 5 --temp 1 --seed 9 >"$T/run1"
"$COMPUTE" run "$T/tiny.gguf" -p 'the day' -n 5 --temp 1 --seed 9 >"$T/run2"
cmp "$T/run1" "$T/run2" || fail 'one seed, two texts'
ids=$(printf 'the day' | "$COMPUTE" tokenize "$T/tiny.gguf")
expect_match 'tokenize' "$ids" '^[0-9]+([ ,][0-9]+)*$'
without=$(printf 'the day' | "$COMPUTE" tokenize "$T/tiny.gguf" --no-bos)
[ "$(wc -w <<<"$ids")" = $(($(wc -w <<<"$without") + 1)) ] || fail "--no-bos: '$ids' and '$without'"
vocab=$("$COMPUTE" inspect "$T/tiny.gguf" --json | jq -e 'type == "object"' >/dev/null && echo yes)
expect 'inspect --json' "$vocab" yes
"$COMPUTE" inspect "$T/tiny.gguf" | grep -qi llama || fail 'inspect names no architecture'
"$COMPUTE" logits "$T/tiny.gguf" --tokens 1,5,6 --out "$T/logits" --ubatch 1 >/dev/null
"$COMPUTE" logits "$T/tiny.gguf" --tokens 1,5,6 --out "$T/logits2" --ubatch 3 -t 2 >/dev/null
cmp "$T/logits" "$T/logits2" || fail 'logits depend on the batch'
[ $(($(stat -c %s "$T/logits") % 12)) = 0 ] || fail 'logits are not 3 rows of floats'
"$TOOLS/compute_tiny_adapter" "$T/tiny.gguf" "$T/adapter.gguf" --seed 5
"$COMPUTE" logits "$T/tiny.gguf" --tokens 1,5,6 --out "$T/logits2" --ubatch 3 -t 2 --adapter "$T/adapter.gguf"
cmp -s "$T/logits" "$T/logits2" && fail 'an adapter changes nothing'
"$COMPUTE" logits "$T/tiny.gguf" --tokens 1,5,6 --out "$T/logits" --ubatch 1 -t 1 --adapter "$T/adapter.gguf"
cmp "$T/logits" "$T/logits2" || fail 'logits with an adapter depend on the batch'
"$COMPUTE" run "$T/tiny.gguf" -p 'the day' -n 5 --temp 0 --adapter "$T/adapter.gguf" >/dev/null
tiny_model "$T/other.gguf" --seed 4 --ff 128
expect 'an adapter of another model' "$(code_of "$COMPUTE" run "$T/other.gguf" -p x -n 1 --adapter "$T/adapter.gguf")" 1
grep -q 'of another model' "$T/err" || fail "an adapter of another model: $(cat "$T/err")"
"$COMPUTE" bench "$T/tiny.gguf" -p 16 -n 8 -r 2 --json |
	jq -e 'has("prompt_tps") and has("generation_tps") and has("read_gbps") and has("weights_bytes")' >/dev/null || fail 'bench --json'
head -c 1000 "$T/tiny.gguf" >"$T/cut.gguf"
expect 'a truncated model' "$(code_of "$COMPUTE" run "$T/cut.gguf" -p x -n 1)" 1
[ -s "$T/err" ] || fail 'a truncated model: no reason'
expect 'a token that does not exist' "$(code_of "$COMPUTE" logits "$T/tiny.gguf" --tokens 1,99999999 --out "$T/x")" 1
