# Hearth: one non-recursive Makefile.  `make help` lists the targets.
#
#   make                     both programs: build/compute-node, build/data-node
#   make check               build and run the tests (what tests/run does)
#   SANITIZE=address,undefined | thread    instrumented build in a folder of its own
#   CC=clang                 another compiler, likewise
#   CROSS=aarch64-linux-gnu  for arm64, in build/arm64 (libraries: deploy/packages-arm64)
#   V=1                      show the commands

CC      ?= cc
ifeq ($(origin CC),default)
CC      := cc
endif
V       ?= 0
SANITIZE ?=
CROSS   ?=
comma   := ,
B       ?= build$(if $(CROSS),/$(patsubst aarch64-%,arm64,$(CROSS)))$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))$(if $(filter-out cc gcc,$(CC)),/$(notdir $(CC)))
Q       := $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' $(1) $(2))

VERSION := 0.1.0
# Sanitizers cost enough without the last of the optimiser; results have the same bits.
OPT     ?= $(if $(SANITIZE),-O1,-O2)
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
# gcc guesses at these from what -O2 finds out; in other builds it guesses wrong.
ifneq ($(SANITIZE),)
WARN    += $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized -Wno-format-truncation)
endif
HARDEN  := -fstack-protector-strong $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2) -fPIE
SAN     := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
STD     := -std=c17 -D_GNU_SOURCE -DHEARTH_VERSION='"$(VERSION)"'
# Results must have the same bits on every build: no contraction across
# expressions and no value-changing optimisation.
FLOAT   := -ffp-contract=off
CFLAGS_ALL := $(STD) $(OPT) -g$(if $(SANITIZE),1) $(WARN) $(HARDEN) $(SAN) $(FLOAT) -pthread -MMD -MP $(CFLAGS)
LDFLAGS_ALL := -pie -pthread $(SAN) -Wl,-z,relro,-z,now $(LDFLAGS)

# Another architecture: the target's libraries stand in SYSROOT; where that is
# empty or absent they are the system's own (Debian's multiarch).
ifneq ($(CROSS),)
B       := $(B)
SYSROOT := $(or $(SYSROOT),$(shell deploy/packages-arm64 --dir))
ROOT    := $(wildcard $(SYSROOT))
TARGET  := $(if $(filter-out cc gcc,$(CC)),$(CC) --target=$(CROSS),$(CROSS)-gcc) $(if $(ROOT),--sysroot=$(ROOT))
TARGET_LIB := $(ROOT)/usr/lib/$(CROSS)
override CC := $(TARGET)
AR      := $(CROSS)-ar
PKG     := PKG_CONFIG_SYSROOT_DIR=$(ROOT) PKG_CONFIG_LIBDIR=$(TARGET_LIB)/pkgconfig:$(TARGET_LIB)/openblas-pthread/pkgconfig pkg-config
INSTALLER := deploy/packages-arm64
else
PKG     := pkg-config
INSTALLER := deploy/packages
endif
PKGS_COMMON  := libzmq libprotobuf-c libsodium
PKGS_COMPUTE := libseccomp
PKGS_DATA    := lmdb sqlite3 libmicrohttpd gnutls jansson libcurl libqrencode libzstd
PKGS_TEST    := cmocka openblas
PKGS_ALL     := $(PKGS_COMMON) $(PKGS_COMPUTE) $(PKGS_DATA)
# libstemmer has no pkg-config file.
HAVE_STEMMER := echo '\#include <libstemmer.h>' | $(CC) -E - >/dev/null 2>&1
ifeq ($(filter help clean lint,$(MAKECMDGOALS)),)
ifneq ($(shell $(PKG) --exists $(PKGS_ALL) && command -v protoc-c >/dev/null && $(HAVE_STEMMER) && echo yes),yes)
$(error missing libraries ($(PKGS_ALL), libstemmer, protoc-c): run $(INSTALLER) to install them)
endif
endif
CFLAGS_PKG   := $(shell $(PKG) --cflags $(PKGS_ALL) 2>/dev/null)
LIBS_COMMON  := $(shell $(PKG) --libs $(PKGS_COMMON) 2>/dev/null)
LIBS_CONFINE := $(shell $(PKG) --libs $(PKGS_COMPUTE) 2>/dev/null)
LIBS_COMPUTE := $(LIBS_COMMON) $(LIBS_CONFINE) -lm
LIBS_DATA    := $(shell $(PKG) --libs $(PKGS_DATA) 2>/dev/null) $(LIBS_COMMON) -lstemmer -lm
LIBS_TEST    := -lcmocka
CFLAGS_TEST  := $(shell $(PKG) --cflags $(PKGS_TEST) 2>/dev/null)
LIBS_ORACLE  := $(shell $(PKG) --libs openblas 2>/dev/null)

# ---- sources, by wildcard: a new file needs no line here --------------------
COMMON_SRC  := $(sort $(wildcard common/*/*.c))
COMPUTE_SRC := $(sort $(wildcard compute-node/*/*.c))
DATA_SRC    := $(sort $(wildcard data-node/*/*.c))
SUPPORT_SRC := $(sort $(wildcard tests/support/*.c))
PROTOS      := $(wildcard proto/*.proto)
GEN_C       := $(PROTOS:proto/%.proto=$(B)/gen/%.pb-c.c)
GEN_H       := $(GEN_C:.c=.h)
WEB_FILES   := $(sort $(wildcard data-node/web/*.html data-node/web/*.js data-node/web/*.css))

# The CUDA plugin, where there is a compiler for it; its kernels also run on the host,
# emulated, for tests (compute-node/cuda/emulate.h).
NVCC        ?= $(firstword $(wildcard /usr/local/cuda/bin/nvcc) $(shell command -v nvcc 2>/dev/null))
# Of the GPUs here, or 90; for all there are: CUDA_ARCHS="80 89 90 100 120".
CUDA_ARCHS  ?= $(or $(if $(NVCC),$(sort $(subst .,,$(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null)))),90)
CXX_HOST    := $(if $(findstring clang,$(CC)),clang++,g++)
CUDA_SRC    := $(sort $(wildcard compute-node/cuda/*.cu))
CUDA_OBJ    := $(CUDA_SRC:%.cu=$(B)/cuda/%.o)
EMULATE_SRC := $(filter-out compute-node/cuda/runtime.cu,$(CUDA_SRC))
EMULATE_OBJ := $(EMULATE_SRC:%.cu=$(B)/emulated/%.o) $(patsubst %.cpp,$(B)/emulated/%.o,$(sort $(wildcard compute-node/cuda/*.cpp)))
PLUGIN_OBJ  := $(B)/cuda/common/base/errmsg.o $(B)/cuda/common/base/rc.o $(B)/cuda/compute-node/model/type.o
CUDA        := $(if $(NVCC),$(if $(SANITIZE)$(CROSS)$(filter-out cc gcc,$(CC)),,$(B)/compute-cuda.so))
EMULATED    := $(if $(SANITIZE)$(CROSS)$(filter-out cc gcc,$(CC)),,$(B)/tests/compute-emulated.so)

obj          = $(patsubst %.c,$(B)/obj/%.o,$(1))
COMMON_OBJ  := $(call obj,$(COMMON_SRC)) $(GEN_C:.c=.o)
COMPUTE_OBJ := $(call obj,$(COMPUTE_SRC))
DATA_OBJ    := $(call obj,$(DATA_SRC))

UNIT_COMMON  := $(sort $(wildcard tests/unit/common/*/test_*.c))
UNIT_COMPUTE := $(sort $(wildcard tests/unit/compute-node/*/test_*.c) $(wildcard tests/golden/compute-node/test_*.c))
UNIT_DATA    := $(sort $(wildcard tests/unit/data-node/*/test_*.c) $(wildcard tests/golden/data-node/test_*.c))
test_bin      = $(patsubst tests/%.c,$(B)/tests/%,$(1))
TEST_BINS   := $(call test_bin,$(UNIT_COMMON) $(UNIT_COMPUTE) $(UNIT_DATA))
# Helper programs of scenario tests, benches and fuzz targets: the first word
# of the name says what they link: common_*, compute_* or data_*.
TOOL_SRC    := $(sort $(wildcard tests/tools/*.c))
TOOL_BINS   := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(TOOL_SRC))
BENCH_SRC   := $(sort $(wildcard tests/bench/*.c))
BENCH_BINS  := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(BENCH_SRC))
FUZZ_SRC    := $(sort $(wildcard tests/fuzz/*.c))
FUZZ_BINS   := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(filter-out tests/fuzz/fuzz_main.c,$(FUZZ_SRC)))

# Shims that fault tests preload under a program.
SHIM_SRC    := $(sort $(wildcard tests/fault/shim_*.c))
SHIMS       := $(patsubst tests/fault/%.c,$(B)/tests/fault/%.so,$(SHIM_SRC))

.PHONY: all tests cuda-tests tools bench fuzz check lint format clean help
.SECONDARY:
.DELETE_ON_ERROR:
all: $(B)/compute-node $(B)/data-node $(if $(wildcard /dev/nvidiactl),$(CUDA))

$(B)/compute-node: $(call obj,compute-node/main.c) $(B)/libcompute.a $(B)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_COMPUTE)
$(B)/data-node: $(call obj,data-node/main.c) $(B)/libdata.a $(B)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_DATA)

define archive
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
endef
$(B)/libcommon.a: $(COMMON_OBJ)
	$(archive)
$(B)/libcompute.a: $(COMPUTE_OBJ)
	$(archive)
$(B)/libdata.a: $(DATA_OBJ)
	$(archive)
$(B)/libsupport.a: $(call obj,$(SUPPORT_SRC))
	$(archive)

# ---- compiling: each tree sees itself and common/, never the other node ------
INC := -Icommon -I$(B)/gen
$(B)/obj/compute-node/%.o $(B)/obj/tests/%.o: INC_NODE = -Icompute-node
$(B)/obj/data-node/%.o: INC_NODE = -Idata-node
# The suffix of a kernel is its instruction set is its flag; on another
# architecture its file is empty.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ifeq ($(MACHINE),x86_64)
$(B)/obj/%_avx2.o: ISA = -mavx2 -mfma -mf16c
$(B)/obj/%_avx512.o: ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
$(B)/obj/%_avx512vnni.o: ISA = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c
# These hold dozens of unrolled products, which checks of every lane's index and
# of the stack, and checks put in line, would make minutes of compiling; what they
# read and write is still checked.
CHECKS_GCC   := --param asan-stack=0 --param asan-instrumentation-with-call-threshold=0
CHECKS_CLANG := -mllvm -asan-stack=0 -mllvm -asan-instrumentation-with-call-threshold=0 -fno-sanitize=fuzzer-no-link
KERNEL_CHECKS := $(if $(SANITIZE),-fno-sanitize=undefined $(if $(findstring clang,$(CC)),$(CHECKS_CLANG),$(CHECKS_GCC)))
$(B)/obj/%_avx2.o $(B)/obj/%_avx512.o $(B)/obj/%_avx512vnni.o: CFLAGS_ALL += $(KERNEL_CHECKS)
else ifeq ($(MACHINE),aarch64)
# *_neon.c: every CPU of the architecture has it
$(B)/obj/%_neondot.o: ISA = -march=armv8.2-a+dotprod
$(B)/obj/%_neoni8mm.o: ISA = -march=armv8.2-a+dotprod+i8mm
endif

compile = $(CC) $(CFLAGS_ALL) $(INC) $(INC_NODE) $(CFLAGS_PKG) $(ISA) -c -o $@ $<
$(B)/obj/%.o: %.c | $(GEN_H)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(compile)
$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h: proto/%.proto
	$(call say,PROTO,$<)
	@mkdir -p $(B)/gen
	$(Q)protoc-c --proto_path=proto --c_out=$(B)/gen $<
$(B)/gen/%.o: $(B)/gen/%.c | $(GEN_H)
	$(Q)$(CC) $(filter-out $(WARN),$(CFLAGS_ALL)) -I$(B)/gen $(CFLAGS_PKG) -c -o $@ $<

# ---- the CUDA plugin, and the same emulated -----------------------------------
# A device traps misaligned addresses; the emulator does, too.
CXXFLAGS_CUDA := -fsanitize=alignment -fsanitize-undefined-trap-on-error -std=c++17 -O2 -g -Wall -Wextra -Wno-unused-function -Wno-unknown-pragmas -fPIC -fvisibility=hidden -MMD -MP -Icommon -Icompute-node
# Hopper's own units need the "a" of its architecture; machines to come read the last as PTX.
gencode = $(foreach a,$(CUDA_ARCHS),-gencode=arch=compute_$(a:90=90a)$(comma)code=sm_$(a:90=90a)) $(if $(word 2,$(CUDA_ARCHS)),-gencode=arch=compute_$(lastword $(CUDA_ARCHS))$(comma)code=compute_$(lastword $(CUDA_ARCHS)))
$(B)/compute-cuda.so: $(CUDA_OBJ) $(PLUGIN_OBJ)
	$(call say,LINK,$@)
	$(Q)$(NVCC) -shared -o $@ $^ -Xcompiler -fPIC -Xlinker -z -Xlinker defs -cudart static -ldl
$(B)/cuda/%.o: %.cu
	$(call say,NVCC,$<)
	@mkdir -p $(@D)
	$(Q)$(NVCC) -std=c++17 -O3 -DCUDA_WGMMA -diag-suppress 177 $(gencode) -Xcompiler -fPIC,-fvisibility=hidden -Icommon -Icompute-node -MMD -MP -c -o $@ $<
$(B)/cuda/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fPIE $(SAN),$(CFLAGS_ALL)) -fPIC -fvisibility=hidden $(INC) -Icompute-node -c -o $@ $<
$(B)/emulated/%.o: %.cu
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX_HOST) -x c++ $(CXXFLAGS_CUDA) -DCUDA_EMULATED -c -o $@ $<
$(B)/emulated/%.o: %.cpp
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX_HOST) $(CXXFLAGS_CUDA) -DCUDA_EMULATED -c -o $@ $<
$(B)/tests/compute-emulated.so: $(EMULATE_OBJ) $(PLUGIN_OBJ)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX_HOST) -shared -o $@ $^ -pthread

# Tests of the kernels, emulated; some bring stand-ins for what they do not test.
emulated = $(foreach f,$(1),$(B)/emulated/compute-node/cuda/$(f).o)
$(B)/emulated/tests/%.o: tests/%.cpp
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX_HOST) $(CXXFLAGS_CUDA) -Itests/support $(CFLAGS_TEST) -DCUDA_EMULATED -c -o $@ $<
define link_cuda
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX_HOST) -o $@ $^ $(LIBS_TEST) -pthread
endef
CUDA_TESTS := $(B)/tests/unit/compute-node/cuda
# A test, files of compute-node/cuda, other files, and what a device needs besides.  The
# same programs run on a device: make cuda-tests.
define cuda_test
ifneq ($(EMULATED),)
$(CUDA_TESTS)/$(1): $(B)/emulated/tests/unit/compute-node/cuda/$(1).o $(call emulated,emulate $(2)) $(3:%=$(B)/cuda/%.o)
	$$(link_cuda)
endif
$(B)/cuda-tests/$(1): $(B)/cuda/tests/unit/compute-node/cuda/$(1).o $(B)/cuda/tests/support/cuda_device.o $(addprefix $(B)/cuda/,$(patsubst %,compute-node/cuda/%.o,$(2) $(4)) $(3:%=%.o))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(NVCC) -o $$@ $$^ -cudart static $$(LIBS_TEST)
cuda-tests: $(B)/cuda-tests/$(1)
endef
$(eval $(call cuda_test,test_weights,weights weights_place gemv gemv_32 gemv_k gemv_table gemv_float,compute-node/kernels/blocks compute-node/model/type))
$(eval $(call cuda_test,test_gemv,weights weights_place gemv gemv_32 gemv_k gemv_table gemv_float,compute-node/kernels/blocks compute-node/model/type))
$(eval $(call cuda_test,test_attention,rows attention attention_answer attention_any attention_merge attention_prepare attention_prompt))
$(eval $(call cuda_test,test_gemm,gemm,,gemm_wgmma))
$(eval $(call cuda_test,test_cuda_experts,gemm rows experts experts_sort experts_choose,,gemm_wgmma))
$(eval $(call cuda_test,test_rows,rows))
$(eval $(call cuda_test,test_recurrent,recurrent))
$(eval $(call cuda_test,test_encoder,rows encoder))
$(eval $(call cuda_test,test_items,rows items stacked gemm weights weights_place gemv gemv_32 gemv_k gemv_table gemv_float,compute-node/kernels/blocks compute-node/model/type,gemm_wgmma))
$(eval $(call cuda_test,test_shortlist,shortlist,$(addprefix compute-node/infer/sample,_filter _weigh _short) compute-node/infer/sample compute-node/kernels/exact tests/support/plain_sample))
$(B)/cuda/tests/support/%.o: tests/support/%.cpp
	@mkdir -p $(@D)
	$(Q)$(NVCC) -std=c++17 -O2 -MMD -MP -c -o $@ $<
$(B)/cuda/tests/%.o: tests/%.cpp
	$(call say,NVCC,$<)
	@mkdir -p $(@D)
	$(Q)$(NVCC) -x cu -std=c++17 -O2 -diag-suppress 177 $(gencode) -include tests/support/cuda_device.h -Icommon -Icompute-node -Itests/support $(CFLAGS_TEST) -MMD -MP -c -o $@ $<
# Other builds have none of them: tests/run skips what is not there.
ifeq ($(EMULATED),)
$(CUDA_TESTS)/test_%: ; @:
endif
$(B)/tests/golden/compute-node/test_device $(B)/tests/unit/compute-node/infer/test_device: | $(EMULATED)
CUDA_TEST_BINS := $(if $(EMULATED),$(patsubst tests/%.cpp,$(B)/tests/%,$(sort $(wildcard tests/unit/compute-node/cuda/test_*.cpp))))

# The web page stands in the program (.incbin).
$(call obj,data-node/gateway/handle_web.c): $(WEB_FILES)

# ---- tests -------------------------------------------------------------------
$(B)/obj/tests/unit/data-node/%.o $(B)/obj/tests/golden/data-node/%.o $(B)/obj/tests/tools/data_%.o $(B)/obj/tests/bench/data_%.o $(B)/obj/tests/fuzz/data_%.o $(B)/obj/tests/support/slice_%.o $(B)/obj/tests/support/store_%.o $(B)/obj/tests/support/clock_%.o $(B)/obj/tests/support/recall_%.o: INC_NODE = -Idata-node
$(B)/obj/tests/%.o: INC += -Itests/support $(CFLAGS_TEST)

define link_test
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(1)
endef
$(B)/tests/unit/common/%: $(B)/obj/tests/unit/common/%.o $(B)/libsupport.a $(B)/libcommon.a
	$(call link_test,$(LIBS_TEST) $(LIBS_COMMON) $(LIBS_CONFINE) -lm)
$(B)/tests/unit/compute-node/%: $(B)/obj/tests/unit/compute-node/%.o $(B)/libsupport.a $(B)/libcompute.a $(B)/libcommon.a
	$(call link_test,$(LIBS_TEST) $(LIBS_COMPUTE) $(LIBS_ORACLE))
$(B)/tests/golden/compute-node/%: $(B)/obj/tests/golden/compute-node/%.o $(B)/libsupport.a $(B)/libcompute.a $(B)/libcommon.a
	$(call link_test,$(LIBS_TEST) $(LIBS_COMPUTE) $(LIBS_ORACLE))
# One test has both sides: what a compute node writes calls with, and who reads them.
$(B)/obj/tests/unit/data-node/answer/test_calls_held.o: INC_NODE = -Idata-node -Icompute-node
$(B)/tests/unit/data-node/answer/test_calls_held: $(B)/obj/tests/unit/data-node/answer/test_calls_held.o $(B)/libsupport.a $(B)/libdata.a $(B)/libcompute.a $(B)/libcommon.a
	$(call link_test,$(LIBS_TEST) $(LIBS_DATA) $(LIBS_COMPUTE))
$(B)/tests/unit/data-node/%: $(B)/obj/tests/unit/data-node/%.o $(B)/libsupport.a $(B)/libdata.a $(B)/libcommon.a
	$(call link_test,$(LIBS_TEST) $(LIBS_DATA))
$(B)/tests/golden/data-node/%: $(B)/obj/tests/golden/data-node/%.o $(B)/libsupport.a $(B)/libdata.a $(B)/libcommon.a
	$(call link_test,$(LIBS_TEST) $(LIBS_DATA))
define program_rules
$(B)/tests/$(1)/common_%: $(B)/obj/tests/$(1)/common_%.o $(2) $(B)/libsupport.a $(B)/libcommon.a
	$$(call link_test,$(LIBS_COMMON) -lm $(FUZZ_LINK_$(1)))
$(B)/tests/$(1)/compute_%: $(B)/obj/tests/$(1)/compute_%.o $(2) $(B)/libsupport.a $(B)/libcompute.a $(B)/libcommon.a
	$$(call link_test,$(LIBS_COMPUTE) $(FUZZ_LINK_$(1)))
$(B)/tests/$(1)/data_%: $(B)/obj/tests/$(1)/data_%.o $(2) $(B)/libsupport.a $(B)/libdata.a $(B)/libcommon.a
	$$(call link_test,$(LIBS_DATA) $(FUZZ_LINK_$(1)))
endef
# Their own open() would clash with the checking one of the C library.
$(B)/tests/fault/%.so: tests/fault/%.c
	$(call say,SHIM,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -D_FORTIFY_SOURCE=2 -fPIE $(SAN),$(CFLAGS_ALL)) -fPIC -shared -Itests/support -o $@ $< -ldl

# With FUZZER=libfuzzer (clang) targets are coverage-guided; else fuzz_main.c
# drives them over files and seeded mutations.
ifeq ($(FUZZER),libfuzzer)
FUZZ_LINK_fuzz := -fsanitize=fuzzer
CFLAGS_ALL += -fsanitize=fuzzer-no-link
FUZZ_DRIVER :=
else
FUZZ_DRIVER := $(B)/obj/tests/fuzz/fuzz_main.o
endif
$(eval $(call program_rules,tools,))
$(eval $(call program_rules,bench,))
$(eval $(call program_rules,fuzz,$(FUZZ_DRIVER)))

tests: all $(TEST_BINS) tools $(CUDA) $(EMULATED) $(CUDA_TEST_BINS)
tools: $(TOOL_BINS) $(SHIMS)
bench: all $(BENCH_BINS)
fuzz: $(FUZZ_BINS)
check:
	@tests/run
lint:
	@tests/lint/run
format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i
clean:
	rm -rf build
help:
	@sed -n '3,8s/^# \{0,1\}//p' Makefile
	@printf '%s\n' '  make tests | tools | bench | fuzz   build those programs' \
	    '  make cuda-tests      tests of kernels, for a device (build/cuda-tests)' \
	    '  make lint | format | clean'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
