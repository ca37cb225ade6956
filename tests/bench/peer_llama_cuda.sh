#!/usr/bin/env bash
# Builds llama.cpp's llama-bench with CUDA, to be measured beside ours:
#
#   tests/bench/peer_llama_cuda.sh FOLDER [ARCHITECTURE, default native]
#
# FOLDER holds its source already, or it is cloned there.  Prints the path for LLAMA_BENCH
# of tests/bench/cuda_device.sh.  Takes an hour on two cores.
set -eu
folder=${1:?a folder for the peer}
arch=${2:-native}
[ -f "$folder/CMakeLists.txt" ] ||
	git clone --depth 1 https://github.com/ggml-org/llama.cpp "$folder" >&2
cmake -S "$folder" -B "$folder/build-cuda" -DCMAKE_BUILD_TYPE=Release -DGGML_CUDA=ON \
	-DCMAKE_CUDA_ARCHITECTURES="$arch" -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF \
	-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF >&2
cmake --build "$folder/build-cuda" -j "$(nproc)" --target llama-bench >&2
echo "$folder/build-cuda/bin/llama-bench"
