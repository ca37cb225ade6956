#!/usr/bin/env bash
# A second station of the owner's as a model elsewhere: by default nothing of the timeline
# reaches it, then one layer does, but for a source that is to stay; over budget and out of
# reach the first one answers at home; over TLS it is known by its own certificate alone;
# and a client that goes ends the work there.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

command -v python3 >/dev/null || skip 'no python3 for a proxy'

# The far station: a data node with a compute node of its own.
tiny_model "$T/tiny.gguf" --seed 3 --ctx 2048
slow_model "$T/slow.gguf"
compute_init box
"$DATA" init --dir "$T/far" >"$T/far.init"
sed -n 's/^owner token: //p' "$T/far.init" >"$T/far.token"
"$COMPUTE" allow --dir "$T/box" "$(sed -n 's/^public key: //p' "$T/far.init")" >/dev/null
"$DATA" compute add --dir "$T/far" box "tcp://127.0.0.1:${COMPUTE_PORT[box]}" "${COMPUTE_KEY[box]}"
compute_start box "$T/tiny.gguf" --model "$T/slow.gguf"
far_port=$(free_port)
far_url=http://127.0.0.1:$far_port
far_get() { # PATH
	curl -s -H "Authorization: Bearer $(cat "$T/far.token")" --cacert "$T/far/tls.crt" "$far_url$1"
}
far_ready() {
	far_get /v1/models | grep -q '"slow"'
}
node_start far "$DATA" serve --dir "$T/far" --listen "127.0.0.1:$far_port"

# What goes there is kept by a proxy in between.
proxy_port=$(free_port)
python3 - "$proxy_port" "$far_port" "$T/wire" 2>"$T/proxy.log" <<'END' &
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = open(sys.argv[3], "ab", buffering=0)
def copy(source, sink, keep):
    try:
        while data := source.recv(65536):
            if keep:
                kept.write(data)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
while True:
    near, _ = listener.accept()
    try:
        far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    except OSError:
        near.close()
        continue
    for args in ((near, far, True), (far, near, False)):
        threading.Thread(target=copy, args=args, daemon=True).start()
END
PID[proxy]=$!
went() { # TEXT: over the wire
	grep -aq "$1" "$T/wire" 2>/dev/null
}

# The near one has no compute node: at home recall alone answers.
data_init
data_start
cat >"$T/events" <<'END'
{"source":"phone","id":"t1","layer":"text","kind":"note","start":"2026-11-19T12:30:00Z","text":"CANARY-NOTE: lunch with Ines was pumpkin soup"}
{"source":"diary","id":"t2","layer":"text","kind":"note","start":"2026-11-19T21:30:00Z","text":"CANARY-DIARY: lunch with Ines made me sad"}
{"source":"hub","id":"h1","layer":"home","kind":"presence","start":"2026-11-19T12:10:00Z","text":"CANARY-HOME: Ines came for lunch"}
END
send_events "$T/events" >/dev/null
ask='{"model":"hearth","store":false,"max_tokens":8,"messages":[{"role":"user","content":"What was lunch with Ines?"}]}'
named='{"model":"cloud/far","max_tokens":8,"messages":[{"role":"user","content":"Say something plain"}]}'
route_of() { # REQUEST: where it went and why; the answer in $T/answer
	post_json /v1/chat/completions "$1" >"$T/answer"
	jq -r '"\(.hearth.route.to) \(.hearth.route.reason)"' "$T/answer"
}
wait_until 30 'the far station has its models' far_ready

expect 'without a policy' "$(route_of "$ask")" 'null null'
data_cli cloud add far "http://127.0.0.1:$proxy_port/v1" --model tiny --trust home --key-file "$T/far.token"
expect 'by default' "$(route_of "$ask")" 'null null'
expect_match 'the list of models' "$(api GET /v1/models | jq -c '[.data[].id]')" '"cloud/far"'
went 'POST' && fail 'something was sent by default'
expect 'named' "$(route_of "$named")" 'cloud/far named'
expect_match 'its answer' "$(jq -r '.choices[0].message.content' "$T/answer")" '.'
went 'Say something plain' || fail 'the question named for it did not go'

data_cli cloud route far
expect 'with a rule alone' "$(route_of "$ask")" 'local question'
data_cli cloud allow question --trust home
expect 'with the question' "$(route_of "$ask")" 'cloud/far rule'
expect 'moments that went' "$(jq -c '.hearth.route.moments' "$T/answer")" '{"sent":0,"kept":{"layer":3}}'
went 'What was lunch with Ines' || fail 'the question did not go'
went CANARY && fail 'something of the timeline went with the question'

data_cli cloud allow text --trust home
data_cli cloud deny source:diary
expect_match 'a dry run' "$(data_cli cloud explain What was lunch with Ines | tr '\n' ' ')" \
	'cloud/far: a rule .*would leave, text: 1 .*would stay, by layer: 1 .*would stay, by source: 1'
went CANARY && fail 'a dry run sent something'
expect 'with a layer' "$(route_of "$ask")" 'cloud/far rule'
expect 'moments that went' "$(jq -c '.hearth.route.moments' "$T/answer")" \
	'{"sent":1,"kept":{"layer":1,"source":1}}'
expect 'the source' "$(jq -r '.hearth.sources[].id' "$T/answer")" t1
went CANARY-NOTE || fail 'what may leave did not'
went 'CANARY-DIARY\|CANARY-HOME' && fail 'what is to stay went along'
data_cli cloud ledger >"$T/audit"
expect_match 'the ledger' "$(head -n 1 "$T/audit")" 'owner +cloud-ask +far reason=rule bytes=[0-9]+ tokens=[0-9]+ text=1$'
grep -q 'CANARY\|Ines' "$T/audit" && fail 'the ledger holds content'

# A budget that is spent, and a station that is gone.
data_cli cloud add far "http://127.0.0.1:$proxy_port/v1" --model tiny --trust home --day-tokens 10
expect 'over budget' "$(route_of "$ask")" 'local day-tokens'
expect 'its mode' "$(jq -r '.hearth.mode' "$T/answer")" recall-only
data_cli cloud add far "http://127.0.0.1:$proxy_port/v1" --model tiny --trust home
node_kill far
expect 'out of reach' "$(route_of "$ask")" 'local unreachable'
expect 'and left alone' "$(route_of "$ask")" 'local down'

# Over TLS: another address, so the key has to be given again; nobody vouches for its
# certificate, but it does itself.
far_url=https://localhost:$far_port
node_start far "$DATA" serve --dir "$T/far" --listen "0.0.0.0:$far_port"
wait_until 30 'the far station is back' far_ready
add_far() { # MODEL [FLAGS...]
	data_cli cloud add far "$far_url/v1" --model "$1" --trust home "${@:2}"
}
add_far tiny
expect 'with the key of another address' "$(route_of "$ask")" 'local key'
add_far tiny --key-file "$T/far.token"
expect 'a certificate that nobody vouches for' "$(route_of "$ask")" 'local unreachable'
add_far slow --key-file "$T/far.token" --ca-file "$T/far/tls.crt"
expect 'one that is known' "$(route_of "$named")" 'cloud/far named'

# A client that goes.
far_runs() { # N
	[ "$(far_get /api/v1/status | jq '[.compute[].running] | add')" = "$1" ]
}
stream /v1/chat/completions '{"model":"cloud/far","stream":true,"max_tokens":1500,"messages":[{"role":"user","content":"On and on"}]}' "$T/stream"
wait_until 30 'the answer has begun' has_text "$T/stream" 1
far_runs 1 || fail 'nothing runs at the far station'
kill "${PID[client]}"
wait_until 30 'the far station has stopped' far_runs 0
