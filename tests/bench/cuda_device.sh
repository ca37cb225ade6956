#!/usr/bin/env bash
# Everything that needs a CUDA device, in one go: correctness, sanitizer, speed beside
# llama.cpp.  For a machine that is at hand for minutes.
#
#   tests/bench/cuda_device.sh [check] [sanitize] [models] [bench] [profile]
#
# LLAMA_BENCH: the peer's llama-bench, built with CUDA (tests/bench/peer_llama_cuda.sh builds it).
# MODELS: a folder for models of random weights (default /dev/shm/hearth), in memory.
# TYPES: formats of the 8B shape (default "Q4_K Q8_0 F16"), MOE: format of the 30B-A3B.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit
models=${MODELS:-/dev/shm/hearth}
types=${TYPES:-Q4_K Q8_0 F16}
moe=${MOE-Q4_K}
repeats=${REPEATS:-3}
plugin=$PWD/build/compute-cuda.so
compute=build/compute-node
note() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }

check() {
	note "check: kernels one by one (make cuda-tests)"
	for test in build/cuda-tests/test_*; do
		timeout 60 "$test" >/tmp/kernels.$$ 2>&1
		printf '%s %s\n' "$?" "$test"
		grep -A4 -E '^\[ +(ERROR|FAILED)' /tmp/kernels.$$ | head -n 12
	done
	rm -f /tmp/kernels.$$
	note "check: models on the device"
	HEARTH_BACKEND=$plugin timeout 150 build/tests/golden/compute-node/test_device 2>&1 | tail -n 90
	note "check: one text on both"
	for backend in cpu cuda; do
		timeout 60 $compute run ../shared/data/models/stories260K.gguf --backend $backend \
			-p "Once upon a time" -n 100 --temp 0 | md5sum
	done
}

sanitize() {
	command -v compute-sanitizer >/dev/null || { echo "no compute-sanitizer"; return; }
	note "sanitize: memcheck"
	timeout 100 compute-sanitizer --tool memcheck --print-limit 5 $compute run \
		../shared/data/models/stories260K.gguf --backend cuda -p "Once upon a time" -n 6 --temp 0 2>&1 | tail -n 12
	note "sanitize: racecheck"
	timeout 100 compute-sanitizer --tool racecheck --print-limit 5 $compute run \
		../shared/data/models/stories260K.gguf --backend cuda -p "Once upon a time" -n 4 --temp 0 2>&1 | tail -n 8
}

make_models() {
	note "models"
	mkdir -p "$models"
	for type in $types; do
		[ -s "$models/8b-$type.gguf" ] || build/tests/tools/compute_random_model \
			"$models/8b-$type.gguf" "$type" 32 4096 32 8 128 14336 128256 &
	done
	[ -z "$moe" ] || [ -s "$models/moe-$moe.gguf" ] || build/tests/tools/compute_random_model \
		"$models/moe-$moe.gguf" "$moe" 48 2048 32 4 128 768 151936 qwen3moe 128 8 &
	wait
	ls -l "$models"
}

ours() { timeout 120 $compute bench "$1" --backend cuda -p 2048 -n 64 -r "$repeats" "${@:2}"; }

theirs() {
	[ -n "${LLAMA_BENCH:-}" ] || return 0
	timeout 150 "$LLAMA_BENCH" -m "$1" -ngl 99 -fa 1 -ub 2048 -b 2048 -r "$repeats" "${@:2}" 2>&1 |
		grep -E '^\|' | tail -n +3
}

bench() {
	for type in $types; do
		note "bench: 8B $type"
		time ours "$models/8b-$type.gguf" ${BENCH_FLAGS:-}
		theirs "$models/8b-$type.gguf" -p 2048 -n 64
	done
	[ -z "$moe" ] && return
	note "bench: 30B-A3B $moe"
	ours "$models/moe-$moe.gguf" ${BENCH_FLAGS:-}
	theirs "$models/moe-$moe.gguf" -p 2048 -n 64
}

# Where the time of a pass goes, kernel by kernel (each alone: no overlap).
profile() {
	command -v ncu >/dev/null || { echo "no ncu"; return; }
	for type in ${PROFILE_TYPES:-$types}; do
		note "profile: 8B $type"
		timeout 120 ncu --clock-control none --graph-profiling node -k 'regex:.*' -c "${PROFILE_KERNELS:-1500}" \
			--metrics gpu__time_duration.sum,dram__bytes.sum --csv $compute bench \
			"$models/8b-$type.gguf" --backend cuda -p 2048 -n 2 -r 1 2>/dev/null |
			python3 -c '
import csv, sys, collections
rows = [r for r in csv.reader(l for l in sys.stdin if l.startswith("\""))]
head, rows = rows[0], rows[1:]
k, m, v, b, g = (head.index(n) for n in ("Kernel Name", "Metric Name", "Metric Value", "Block Size", "Grid Size"))
t = collections.defaultdict(lambda: [0, 0.0, 0.0])
for r in rows:
    e = t[(r[k][:60], r[g], r[b])]
    x = float(r[v].replace(",", ""))
    if "time" in r[m]: e[0] += 1; e[1] += x
    else: e[2] += x
for (name, grid, block), (n, ns, by) in sorted(t.items(), key=lambda i: -i[1][1])[:45]:
    print(f"{ns/1e3:9.1f} us {n:5d} x {ns/n/1e3 if n else 0:8.2f} us {by/ns if ns else 0:7.0f} GB/s  {grid} {block} {name}")'
	done
}

[ $# -gt 0 ] || set -- check sanitize models bench profile
for part; do
	case $part in
	models) make_models ;;
	check | sanitize | bench | profile) $part ;;
	*) echo "no part $part" >&2; exit 2 ;;
	esac
done
