#!/usr/bin/env bash
# A backend (the emulated one) from the command line to an answer over HTTP: it is
# planned, computes what the CPU computes, is served under confinement, and an answer
# whose worker is killed goes on with the same text, layers being parted as they were.
# limit_s: 180
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

need_shared models/stories260K.gguf
plugin=$HEARTH_BUILD/tests/compute-emulated.so
[ -f "$plugin" ] || skip 'this build has no emulated backend'
model=$SHARED/models/stories260K.gguf

"$COMPUTE" plan "$model" --backend "$plugin" --ubatch 64 --json >"$T/plan.json"
expect 'it fits' "$(jq .fits "$T/plan.json")" true
"$COMPUTE" run "$model" --backend "$plugin" --ubatch 64 -p 'Once upon a time' -n 24 --temp 0 >"$T/device"
"$COMPUTE" run "$model" --backend cpu -p 'Once upon a time' -n 24 --temp 0 >"$T/cpu"
cmp "$T/cpu" "$T/device" || fail 'the backend tells another story'
# What its memory has no room for the CPU computes: the same text.
few=$(($(jq .total_bytes "$T/plan.json") - 100000))
"$COMPUTE" plan "$model" --backend "$plugin" --ubatch 64 --device-memory $few --json >"$T/shared.json"
expect 'it fits with layers on the CPU' "$(jq '.fits and .host_layers > 0' "$T/shared.json")" true
"$COMPUTE" run "$model" --backend "$plugin" --ubatch 64 --device-memory $few -p 'Once upon a time' -n 24 \
	--temp 0 >"$T/shared"
cmp "$T/cpu" "$T/shared" || fail 'layers on both sides tell another story'
code=0
"$COMPUTE" run "$model" --backend /nowhere.so -p x 2>"$T/none" || code=$?
expect 'exit code without the library' "$code" 1
grep -q '/nowhere.so' "$T/none" || fail 'the library that is not there is not named'

# "auto" is the library beside the program, and the CPU for what that has no kernels for.
mkdir "$T/bin"
cp "$COMPUTE" "$T/bin/compute-node"
cp "$plugin" "$T/bin/compute-cuda.so"
odd=$T/odd.gguf # a network 98 wide
"$HEARTH_BUILD"/tests/tools/compute_random_model "$odd" F32 2 64 4 2 16 98 300
kernels() { # FLAGS...
	"$T/bin/compute-node" bench -p 4 -n 2 -r 1 --ubatch 16 --json "$@" | jq -r .kernels
}
expect 'who computes stories' "$(kernels "$model")" cuda
[ "$(kernels "$odd")" != cuda ] || fail 'it was computed without kernels'
"$T/bin/compute-node" plan "$odd" >"$T/plan" || fail 'no plan for what the CPU computes'
grep -q 'mapped from the file' "$T/plan" || fail 'the plan is not of the CPU'
! kernels "$odd" --backend cuda 2>"$T/refused" || fail 'cuda took what it has no kernels for'
grep -q '98 wide' "$T/refused" || fail 'the refusal does not say of what'

data_init
compute_init box
pair box
echo "device-memory = $few" >>"$T/box/compute.conf"
compute_start box "$model" --backend "$plugin" --ubatch 64 --parallel 2
log_has box SERVE-BACKEND 'backend=cuda' || fail 'it does not say what computes'
data_start
wait_for_model stories260K
ask='"model":"stories260K","prompt":"Once upon a time","max_tokens":90,"temperature":0,"ignore_eos":true'
post_json /v1/completions "{$ask}" | jq -rj '.choices[0].text' >"$T/whole"
[ "$(wc -c <"$T/whole")" -gt 100 ] || fail 'hardly any answer'
stream /v1/completions "{$ask,\"stream\":true}" "$T/cut"
wait_until 60 'some of the answer' has_text "$T/cut" 20
# The next worker could have them all on the device, and leaves them where they were.
log_has box FLEET-SHARED || fail 'the device has room for all'
sed -i '/^device-memory/d' "$T/box/compute.conf"
kill -9 "$(worker_of box)"
stream_wait
sse_text "$T/cut" >"$T/resumed"
cmp "$T/whole" "$T/resumed" || fail 'the resumed text differs'
log_has box SERVE-WORKER-GONE || fail 'the worker was not killed in time'
log_has box FLEET-SHARED 'as before' || fail 'layers have been parted anew'
