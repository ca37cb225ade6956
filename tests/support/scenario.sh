# shellcheck shell=bash
# Scenario tests: start, kill and restart the real programs on loopback.
#
# A scenario sources this file first.  It then stands in the repository root
# with a directory $T of its own; every process it starts through these
# functions ends with it, and the logs are shown when it fails.  Nothing here
# waits for a fixed time: wait_until looks at a condition until its deadline.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

HEARTH_BUILD=${HEARTH_BUILD:-$PWD/build}
DATA=$HEARTH_BUILD/data-node
COMPUTE=$HEARTH_BUILD/compute-node
TOOLS=$HEARTH_BUILD/tests/tools
SHARED=$PWD/../shared/data
unset HEARTH_DIR HEARTH_MODEL
export no_proxy='*' LC_ALL=C.UTF-8

T=$(mktemp -d "${TMPDIR:-/tmp}/hearth-scenario.XXXXXX")
declare -A PID=()          # of each node by name
declare -A COMPUTE_KEY=() COMPUTE_PORT=()
TOKEN='' DATA_KEY='' DATA_PORT=''

scenario_end() {
	local code=$? name log
	trap - EXIT INT TERM
	{
		for name in "${!PID[@]}"; do
			kill -9 "${PID[$name]}" || true
		done
		wait || true
	} 2>/dev/null
	if [ $code != 0 ] && [ $code != 77 ]; then
		for log in "$T"/*.log; do
			[ -s "$log" ] || continue
			echo "--- the end of $(basename "$log")"
			tail -n 12 "$log"
		done
	fi
	if [ -n "${KEEP:-}" ]; then echo "kept $T"; else rm -rf "$T"; fi
	exit $code
}
trap scenario_end EXIT
trap 'exit 130' INT TERM

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
skip() {
	echo "skipped: $*"
	exit 77
}
need_shared() { # FILE under ../shared/data
	[ -e "$SHARED/$1" ] || skip "no ../shared/data/$1"
}
expect() { # WHAT GOT WANT
	[ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"
}
expect_match() { # WHAT GOT REGEX
	[[ $2 =~ $3 ]] || fail "$1: got '$2', want /$3/"
}

# wait_until SECONDS WHAT COMMAND...: until the command succeeds.
wait_until() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt "$deadline" ] || fail "waited too long: $what"
		sleep 0.03
	done
}

# The pace at which a test does things to nodes; never a wait for something to happen.
pace() { # SECONDS
	sleep "$1"
}

# A port of loopback that nothing holds now, below those that the kernel picks
# for outgoing connections.
# Below the range from which the kernel hands out ports to clients; each script
# has a block of its own, so that scripts beside each other do not meet.
free_port() {
	local n port
	while :; do
		n=$(cat "$T/.ports" 2>/dev/null || echo 0)
		echo $((n + 1)) >"$T/.ports"
		port=$((10000 + ($$ * 20 + n) % 22000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo $port
			return
		fi
	done
}

# ---- nodes ------------------------------------------------------------------------
count_in_log() { # NAME ID
	grep -c " $2\( \|\$\)" "$T/$1.log" 2>/dev/null || true
}
log_has() { # NAME ID [REGEX]
	grep -E " $2( |\$)" "$T/$1.log" 2>/dev/null | grep -Eq -- "${3:-.}"
}
ready_again() { # NAME COUNT-BEFORE
	[ "$(count_in_log "$1" SERVE-READY)" -gt "$2" ] && return
	kill -0 "${PID[$1]}" 2>/dev/null || fail "$1 ended before it was ready"
	return 1
}
alive() { # NAME
	kill -0 "${PID[$1]}" 2>/dev/null
}

# The process of a compute node that computes, a child of the one started; it
# stands in WORKER.
find_worker() { # NAME
	WORKER=$(cat "/proc/${PID[$1]}/task/${PID[$1]}/children" 2>/dev/null) || return 1
	WORKER=${WORKER%% *}
	[ -n "$WORKER" ]
}
worker_of() { # NAME
	wait_until 10 "$1 has a worker" find_worker "$1"
	echo "$WORKER"
}

# node_start NAME COMMAND...: run it and wait for its SERVE-READY.
node_start() {
	local name=$1 before
	shift
	touch "$T/$name.log"
	before=$(count_in_log "$name" SERVE-READY)
	"$@" >>"$T/$name.out" 2>>"$T/$name.log" </dev/null &
	PID[$name]=$!
	wait_until 60 "$name ready" ready_again "$name" "$before"
}
gone() { # NAME
	! kill -0 "${PID[$1]}" 2>/dev/null
}
node_kill() { # NAME: no chance to say goodbye
	kill -9 "${PID[$1]}"
	{ wait "${PID[$1]}" || true; } 2>/dev/null
	unset "PID[$1]"
}
node_stop() { # NAME: SIGTERM, and exit code 0
	local code=0
	kill -TERM "${PID[$1]}"
	wait_until 30 "$1 stops" gone "$1"
	wait "${PID[$1]}" || code=$?
	unset "PID[$1]"
	expect "exit code of $1 after SIGTERM" $code 0
}

data_init() {
	"$DATA" init --dir "$T/data" >"$T/data.init"
	TOKEN=$(sed -n 's/^owner token: //p' "$T/data.init")
	DATA_KEY=$(sed -n 's/^public key: //p' "$T/data.init")
	DATA_PORT=$(free_port)
	[ -n "$TOKEN" ] || fail 'init prints no owner token'
	expect_match 'public key of the data node' "$DATA_KEY" '^[0-9a-f]{64}$'
}
data_start() { # [FLAGS...]
	node_start data "$DATA" serve --dir "$T/data" --listen "127.0.0.1:$DATA_PORT" "$@"
}
data_cli() { # COMMAND [ARGS...]
	local command=$1
	shift
	"$DATA" "$command" --dir "$T/data" "$@"
}

compute_init() { # NAME
	"$COMPUTE" init --dir "$T/$1" >"$T/$1.init"
	COMPUTE_KEY[$1]=$(sed -n 's/^public key: //p' "$T/$1.init")
	COMPUTE_PORT[$1]=$(free_port)
	expect_match "public key of $1" "${COMPUTE_KEY[$1]}" '^[0-9a-f]{64}$'
}
compute_start() { # NAME MODEL-FILE [FLAGS...]
	local name=$1 model=$2
	shift 2
	# Hosts of tests may swap, and what they write is nobody's.
	node_start "$name" "$COMPUTE" serve --dir "$T/$name" --model "$model" --allow-swap \
		--listen "tcp://127.0.0.1:${COMPUTE_PORT[$name]}" "$@"
}
pair() { # NAME: each side lets the other in
	"$COMPUTE" allow --dir "$T/$1" "$DATA_KEY" >/dev/null
	"$DATA" compute add --dir "$T/data" "$1" "tcp://127.0.0.1:${COMPUTE_PORT[$1]}" \
		"${COMPUTE_KEY[$1]}" >/dev/null
}

# npm_packages NAME PACKAGE@MAJOR...: they stand in a folder of their own, $NPM, which keeps
# them from run to run; skips without node or the registry.
npm_packages() {
	command -v node >/dev/null && command -v npm >/dev/null || skip 'no node and npm'
	NPM=$HEARTH_BUILD/npm-$1
	shift
	[ ! -f "$NPM/installed" ] || [ "$(cat "$NPM/installed")" != "$*" ] || return 0
	mkdir -p "$NPM"
	timeout 120 npm install --prefix "$NPM" --no-audit --no-fund --silent "$@" \
		>"$T/npm.log" 2>&1 || skip 'the npm registry cannot be reached'
	echo "$*" >"$NPM/installed"
}
# A station with a model that chats, and in $EMBEDDER one that embeds, or nothing.
start_with_models() { # [FLAGS of the data node...]
	tiny_model "$T/tiny.gguf" --seed 3 --ctx 8192
	data_init
	compute_init box
	pair box
	EMBEDDER=
	[ ! -f "$SHARED/embed/bert-mean.gguf" ] || EMBEDDER=$SHARED/embed/bert-mean.gguf
	compute_start box "$T/tiny.gguf" ${EMBEDDER:+--model "$EMBEDDER"}
	data_start "$@"
	wait_for_model tiny
}

# A model of random weights: small ones answer at once, slow ones take long
# enough to be killed in the middle, and end at their length alone.
tiny_model() { # FILE [FLAGS of compute_tiny_model...]
	"$TOOLS/compute_tiny_model" "$@"
}
slow_model() { # FILE
	tiny_model "$1" --seed 7 --ctx 2048 --embd 448 --heads 7 --layers 6 --ff 1280 --endless
}

# ---- HTTP ----------------------------------------------------------------------------
url() { # PATH
	echo "http://127.0.0.1:$DATA_PORT$1"
}
# api METHOD PATH [CURL ARGS...]: the body; fails unless the status is 2xx.
api() {
	local method=$1 path=$2 status
	shift 2
	status=$(curl -sS -m 60 -o "$T/body" -w '%{http_code}' -X "$method" \
		-H "Authorization: Bearer $TOKEN" "$@" "$(url "$path")") || fail "$method $path: curl"
	[[ $status == 2* ]] || fail "$method $path: $status $(head -c 300 "$T/body")"
	cat "$T/body"
}
# status_of METHOD PATH [CURL ARGS...]: the status; body in $T/body, headers in $T/headers.
status_of() {
	local method=$1 path=$2
	shift 2
	curl -sS -m 60 -o "$T/body" -D "$T/headers" -w '%{http_code}' -X "$method" \
		-H "Authorization: Bearer $TOKEN" "$@" "$(url "$path")"
}
post_json() { # PATH JSON: the body
	api POST "$1" -H 'Content-Type: application/json' --data-binary "$2"
}
send_events() { # FILE of NDJSON: the report
	api POST /api/v1/events -H 'Content-Type: application/x-ndjson' --data-binary "@$1"
}
serves_model() { # MODEL-ID
	api GET /v1/models | jq -e --arg id "$1" 'any(.data[]; .id == $id)' >/dev/null
}
wait_for_model() { # MODEL-ID
	wait_until 30 "model $1 at the data node" serves_model "$1"
}

# stream PATH JSON FILE: a streamed request in the background; PID[client].
stream() {
	curl -sS -N -m 120 -o "$3" -X POST -H "Authorization: Bearer $TOKEN" \
		-H 'Content-Type: application/json' --data-binary "$2" "$(url "$1")" \
		2>>"$T/client.log" &
	PID[client]=$!
}
stream_wait() { # until the client's stream ended by itself
	local code=0
	wait_until 120 'the stream ends' gone client
	wait "${PID[client]}" || code=$?
	unset "PID[client]"
	expect 'exit code of the streaming client' $code 0
}
sse_chunks() { # FILE: one JSON object a line
	sed -n 's/^data: \({.*\)$/\1/p' "$1"
}
sse_text() { # FILE: what a person would see
	sse_chunks "$1" | jq -rj '(.choices // [])[] | (.delta.content // .text // empty)'
}
sse_bytes() { # FILE
	sse_text "$1" 2>/dev/null | wc -c
}
# cut_short NAME: freeze the node in mid-answer, then kill it.  Frozen first, so
# that the answer cannot end between the last look at it and the kill.
cut_short() {
	kill -STOP "${PID[$1]}" "$(worker_of "$1")"
	if gone client; then fail 'the model is too fast to be killed in mid-answer'; fi
	node_kill "$1"
}
has_text() { # FILE BYTES: at least so much of the answer is there
	[ -f "$1" ] && [ "$(sse_bytes "$1")" -ge "$2" ]
}
