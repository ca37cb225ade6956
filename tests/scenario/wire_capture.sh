#!/usr/bin/env bash
# What somebody on the wire between the nodes sees: no content, no name, no key, no
# lease, and nothing that one connection has in common with the next by which the
# same data node could be known again.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

command -v python3 >/dev/null || skip 'no python3 for a proxy'
canary=$(head -c 20 /dev/urandom | base32 | tr -d =)
tiny_model "$T/tiny.gguf" --seed 3 --ctx 1024
data_init
compute_init box
pair box
compute_start box "$T/tiny.gguf"

# A proxy in between keeps each connection's bytes, a file for each way.
proxy_port=$(free_port)
python3 - "$proxy_port" "${COMPUTE_PORT[box]}" "$T/wire" 2>"$T/proxy.log" <<'END' &
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def copy(source, sink, path):
    with open(path, "wb", buffering=0) as kept:
        try:
            while data := source.recv(65536):
                kept.write(data)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
n = 0
while True:
    near, _ = listener.accept()
    far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    n += 1
    for args in ((near, far, f"{sys.argv[3]}.{n}.to"), (far, near, f"{sys.argv[3]}.{n}.from")):
        threading.Thread(target=copy, args=args, daemon=True).start()
END
PID[proxy]=$!
data_cli compute remove box
data_cli compute add box "tcp://127.0.0.1:$proxy_port" "${COMPUTE_KEY[box]}"
for session in 1 2; do
	data_start
	wait_for_model tiny
	post_json /v1/completions "{\"model\":\"tiny\",\"prompt\":\"the $canary was\",\"max_tokens\":20,\"temperature\":0}" >"$T/answer.$session"
	post_json /v1/chat/completions "{\"model\":\"hearth\",\"max_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"what of $canary?\"}]}" >/dev/null
	node_stop data
done
expect 'the same answer twice' "$(jq -r '.choices[0].text' "$T/answer.2")" "$(jq -r '.choices[0].text' "$T/answer.1")"

python3 - "$T" "$canary" "$DATA_KEY" "${COMPUTE_KEY[box]}" <<'END' || fail 'somebody on the wire can tell'
import glob, json, sys
folder, canary, *keys = sys.argv[1:]
captures = {p: open(p, "rb").read() for p in glob.glob(folder + "/wire.*")}
text = json.load(open(folder + "/answer.1"))["choices"][0]["text"].encode()
wanted = {"the prompt": canary.encode(), "the program's name": b"data-node", "the model's name": b"tiny"}
for n, key in enumerate(keys):
    wanted[f"key {n}"] = bytes.fromhex(key)
    wanted[f"key {n} as text"] = key.encode()
if len(text) >= 12:
    wanted["the answer"] = text[:12]
bad = 0
for path, data in captures.items():
    assert len(data) > 300, path
    for name, what in wanted.items():
        if what in data:
            print(f"{path}: {name} stands in it")
            bad = 1
# What two connections have in common, but for the fixed words of the protocol: a
# greeting of 64 bytes, zeros, names and lengths of commands, counters.
WINDOW = 16
def windows(data):
    for name in (b"HELLO", b"WELCOME", b"INITIATE", b"READY", b"MESSAGE"):
        data = data.replace(bytes([len(name)]) + name, bytes(len(name) + 1))
    return {data[i:i + WINDOW] for i in range(64, len(data) - WINDOW)}
for way in ("to", "from"):
    a, b = (windows(captures[f"{folder}/wire.{n}.{way}"]) for n in (1, 2))
    for common in a & b:
        if common.count(0) < WINDOW - 6:
            print(f"{way}: both connections hold {common.hex()}")
            bad = 1
sys.exit(bad)
END
[ "$(find "$T" -name 'wire.*' | wc -l)" -ge 4 ] || fail 'the proxy kept nothing'
