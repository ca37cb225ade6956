#!/usr/bin/env bash
# How long a person waits for a worker that was killed, and for a host that runs short
# of memory (figures of a drill): medians of ROUNDS.
#
#   tests/bench/compute_restart.sh [MODEL.gguf] [ROUNDS] [TOKENS]   default: a small random model,
#                                                            5, answers of 400
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

command -v python3 >/dev/null || skip 'no python3'
model=${1:-}
rounds=${2:-5}
if [ -z "$model" ]; then
	model=$T/slow.gguf
	slow_model "$model"
fi
name=$(basename "$model" .gguf)
cat "$model" >/dev/null # the page cache is warm
data_init
compute_init box
pair box
mkdir -p "$T/host/proc"
host_has() { # MIB
	printf 'MemTotal: 16777216 kB\nMemFree: 1024 kB\nMemAvailable: %d kB\n' $(($1 * 1024)) >"$T/host/new"
	mv "$T/host/new" "$T/host/proc/meminfo"
}
host_has 12000
compute_start box "$model" --memory-root "$T/host" --context 1024 --parallel 2
data_start
wait_for_model "$name"

# Long enough to be under way when the worker is killed.
export HEARTH_ANSWER=${3:-400}
export HEARTH_URL HEARTH_TOKEN=$TOKEN HEARTH_MODEL_NAME=$name HEARTH_ROUNDS=$rounds
HEARTH_URL=$(url '')
export HEARTH_BOX=${PID[box]} HEARTH_HOST=$T/host/proc/meminfo HEARTH_LOG=$T/box.log
python3 - <<'END'
import json, os, signal, statistics, threading, time, urllib.error, urllib.request
env, now = os.environ, time.monotonic
def ask(tokens, stream=True):
    body = json.dumps({"model": env["HEARTH_MODEL_NAME"], "prompt": "the day was", "max_tokens": tokens,
                       "temperature": 0, "ignore_eos": True, "stream": stream}).encode()
    request = urllib.request.Request(env["HEARTH_URL"] + "/v1/completions", body,
                                     {"Authorization": "Bearer " + env["HEARTH_TOKEN"]})
    return urllib.request.urlopen(request, timeout=120)
def worker():
    while True:
        pids = open(f"/proc/{env['HEARTH_BOX']}/task/{env['HEARTH_BOX']}/children").read().split()
        if pids:
            return int(pids[0])
        time.sleep(0.002)
def read_log():
    return open(env["HEARTH_LOG"]).read()
class Stream(threading.Thread):
    """An answer on its way; `times` says when each piece of it came."""
    def __init__(self, tokens):
        super().__init__()
        self.tokens, self.times = tokens, []
        self.start()
    def run(self):
        """A question that finds no node is refused: it is asked again."""
        while not self.times:
            try:
                self.read()
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(0.005)
    def read(self):
        with ask(self.tokens) as answer:
            for line in answer:
                if line.startswith(b"data: {") and json.loads(line[6:]).get("choices"):
                    self.times.append(now())
    def wait_for(self, pieces):
        while len(self.times) < pieces and self.is_alive():
            time.sleep(0.002)
    def after(self, at):
        """When it went on, waiting for its end."""
        self.join()
        return min(t for t in self.times if t > at)
def host_has(mib):
    with open(env["HEARTH_HOST"] + ".new", "w") as out:
        out.write(f"MemTotal: 16777216 kB\nMemFree: 1024 kB\nMemAvailable: {mib * 1024} kB\n")
    os.rename(env["HEARTH_HOST"] + ".new", env["HEARTH_HOST"])
def wait_for(what, count):
    while read_log().count(what) < count:
        time.sleep(0.002)
    return now()
def row(name, values):
    print(f"{name:<58} {statistics.median(values) * 1e3:8.0f} ms   most {max(values) * 1e3:.0f} ms")

ANSWER = int(env["HEARTH_ANSWER"])
kill_to_ready, kill_to_token, new_token, stop, hard_gone, hard_ready, hard_token = ([] for _ in range(7))
for _ in range(int(env["HEARTH_ROUNDS"])):
    # A worker killed in mid-answer: until it serves, and until the stream goes on.
    answer = Stream(ANSWER)
    answer.wait_for(8)
    time.sleep(1.1)  # lives of less than a second are held against it
    ready = read_log().count("SERVE-READY")
    pid, at = worker(), now()
    os.kill(pid, signal.SIGKILL)
    kill_to_ready.append(wait_for("SERVE-READY", ready + 1) - at)
    kill_to_token.append(answer.after(at + 0.01) - at)
    # And for a question that comes while it is away.
    time.sleep(1.1)
    at = now()
    os.kill(worker(), signal.SIGKILL)
    new_token.append(Stream(4).after(at) - at)
    # The soft floor: until nothing new is taken.
    short = read_log().count("floor=soft")
    host_has(900)
    at = now()
    stop.append(wait_for("floor=soft", short + 1) - at)
    host_has(12000)
    wait_for("SERVE-MEMORY-OK", short + 1)
# The hard floor: until the worker is gone, and is back once there is
# room; once, as it comes back with half the context.
answer = Stream(ANSWER)
answer.wait_for(8)
gone, ready = read_log().count("SERVE-WORKER-GONE"), read_log().count("SERVE-READY")
host_has(300)
at = now()
hard_gone.append(wait_for("SERVE-WORKER-GONE", gone + 1) - at)
host_has(12000)
at = now()
hard_ready.append(wait_for("SERVE-READY", ready + 1) - at)
hard_token.append(answer.after(at) - at)
row("killed: until it serves again", kill_to_ready)
row("killed: until the stream that it was sending goes on", kill_to_token)
row("killed: until the first token of a new question", new_token)
row("soft floor: until nothing new is taken", stop)
row("hard floor: until the worker is gone", hard_gone)
row("room again: until it serves", hard_ready)
row("room again: until the stream goes on", hard_token)
END
