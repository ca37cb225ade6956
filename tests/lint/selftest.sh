#!/usr/bin/env bash
# Proves that each lint rule catches its bad sample and lets a good tree pass.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
export GIT_CEILING_DIRECTORIES=$root # the samples are no git tree
failures=0

fresh() { # an empty tree with one good file of each kind
	rm -rf "${root:?}"/*
	mkdir -p "$root"/{common/base,data-node/store,data-node/gateway,compute-node/infer,deploy} \
		"$root"/tests/{lint,unit,scenario,support}
	printf '# none\n' >"$root/tests/lint/allow.txt"
	cat >"$root/common/base/good.h" <<-'END'
		/* A good header with a purpose. */
		#ifndef BASE_GOOD_H
		#define BASE_GOOD_H
		int good_find(const char *name);
		#endif
	END
	cat >"$root/common/base/good.c" <<-'END'
		/* A good file: sprintf(in a comment) and "strcpy(" in a string are fine. */
		#include "base/good.h"

		static const char text[] = "system(\"rm\") printf(";

		int good_find(const char *name)
		{
			return name[0] == text[0];
		}
	END
	: >"$root/deploy/LOG-IDS.md"
	printf -- '- `infer/seen.c` does what is seen\n' >"$root/compute-node/DESIGN.md"
	printf '/* A file that is seen. */\n' >"$root/compute-node/infer/seen.c"
	: >"$root/data-node/DESIGN.md"
}

expect() { # RULE REGEX: the rule finds it
	local out
	out=$("$here/run" --root "$root" "$1" 2>&1)
	if ! grep -Eq "$2" <<<"$out"; then
		echo "lint rule $1 did not find /$2/; it said: $out"
		failures=$((failures + 1))
	fi
}
expect_clean() { # RULE
	local out
	if ! out=$("$here/run" --root "$root" "$1" 2>&1); then
		echo "lint rule $1 is not clean on a good tree: $out"
		failures=$((failures + 1))
	fi
}
add() { # PATH: its text is on standard input
	cat >"$root/$1"
}

fresh
for rule in $("$here/run" --list); do
	expect_clean "$rule"
done

fresh
add data-node/gateway/http.c <<<'#include <zmq.h>'
expect layers 'gateway/http.c:1: layers: <zmq.h> belongs to common/wire'
add data-node/gateway/http.c <<<'#include "timeline.pb-c.h"'
expect layers 'gateway/http.c:1: .*timeline.pb-c.h'
add data-node/store/up.c <<<'#include "gateway/http.h"'
expect layers 'store/up.c:1: .*must not include gateway/http.h'
add data-node/store/up.c <<<'#include "../../compute-node/infer/x.h"'
expect layers 'store/up.c:1: .*not with \.\.'
add data-node/store/up.c <<<'#include "infer/x.h"'
expect layers 'data-node/store must not include infer/x.h'
add common/base/dep.c <<<'#include "os/file.h"'
expect layers 'common/base must not include os/file.h'
add data-node/gateway/http.c <<<'#include <sqlite3.h>'
expect layers 'sqlite3.h> belongs to'
add compute-node/infer/gpu.c <<<'#include <cuda_runtime.h>'
expect layers 'cuda_runtime.h> belongs to'
mkdir -p "$root/data-node/newborn"
add data-node/newborn/a.c <<<'#include "base/rc.h"'
expect layers 'data-node/newborn is not in tests/lint/layers.txt'

fresh
{
	printf '/* A long function here. */\nint long_one(void)\n{\n'
	for _ in $(seq 68); do printf '\treturn 0;\n'; done
	printf '}\n'
} | add common/base/long.c
expect sizes 'long.c:2: sizes: common/base/long.c:long_one has 71 lines'
echo 'common/base/long.c:long_one 71' >>"$root/tests/lint/allow.txt"
expect_clean sizes
echo 'common/base/long.c:long_one 70' >"$root/tests/lint/allow.txt"
expect sizes 'has grown to 71'
echo 'common/base/good.c:good_find 90' >"$root/tests/lint/allow.txt"
expect sizes 'good_find is within the limit'
fresh
{
	printf '/* A long file here. */\n'
	for i in $(seq 800); do printf 'extern int a%d;\n' "$i"; done
} | add common/base/long.c
expect sizes 'common/base/long.c has 801 lines'

for call in 'sprintf(b, "x")' 'strcpy(a, b)' 'strcat(a, b)' 'gets(a)' 'atoi(a)' 'strtok(a, b)' \
	'system(a)' 'popen(a, b)' 'tmpnam(a)' 'rand()' 'vsprintf (a, b, c)'; do
	fresh
	printf '/* A bad call within. */\nvoid f(void)\n{\n\t%s;\n}\n' "$call" | add common/base/bad.c
	expect banned "bad.c:4: banned: ${call%%[ (]*}\\(\\)"
done

fresh
printf '/* A file that prints. */\nvoid f(void)\n{\n\tprintf("x");\n}\n' | add data-node/store/p.c
expect printf_in_library 'store/p.c:4'
printf '/* A file that prints. */\nvoid f(void)\n{\n\tfprintf(stderr, "x");\n}\n' | add data-node/store/p.c
expect printf_in_library 'store/p.c:4'
printf '/* A file that prints. */\nvoid f(void)\n{\n\tfputs("x", stdout);\n}\n' | add data-node/store/p.c
expect printf_in_library 'store/p.c:4'

fresh
printf '/* A test that waits. */\nvoid f(void)\n{\n\tusleep(5);\n}\n' | add tests/unit/test_w.c
expect sleep_in_tests 'tests/unit/test_w.c:4'
printf '/* A test that polls. */\nvoid f(void)\n{\n\twhile (!done())\n\t\t(void)usleep(5);\n}\n' | add tests/unit/test_w.c
expect_clean sleep_in_tests
printf '/* A test that naps. */\nvoid f(void)\n{\n\twhile (!done())\n\t\t(void)sleep(5);\n}\n' | add tests/unit/test_w.c
expect sleep_in_tests 'tests/unit/test_w.c:5'
printf '#!/usr/bin/env bash\n# Waits for no condition.\nsleep 1\n' | add tests/scenario/w.sh
expect sleep_in_tests 'tests/scenario/w.sh:3'

fresh
printf '/* A file that logs. */\nvoid f(void)\n{\n\tlog_info("NEW-ID", "n=%%d", 1);\n}\n' | add data-node/store/l.c
expect log_ids 'NEW-ID is not in'
printf '| `NEW-ID` | info | what it means |\n' | add deploy/LOG-IDS.md
expect_clean log_ids
printf '| `NEW-ID` | info | x |\n| `OLD-ID` | info | y |\n' | add deploy/LOG-IDS.md
expect log_ids 'LOG-IDS.md:2: .*nothing logs OLD-ID'
printf '| `NEW-ID` | info | x |\n' | add deploy/LOG-IDS.md
printf '/* A file that logs. */\nvoid f(void)\n{\n\tlog_warn(\n\t    "NEXT-LINE", "n=1");\n}\n' | add data-node/store/m.c
expect log_ids 'NEXT-LINE is not in'
printf '/* A file that logs. */\nvoid f(const char *id)\n{\n\tlog_warn(id, "n=1");\n}\n' | add data-node/store/m.c
expect log_ids 'must be a literal'

fresh
printf '/* A file without a line. */\n' | add compute-node/infer/unseen.c
expect design_map 'no line for infer/unseen.c'
fresh
printf -- '- `infer/seen.c` a\n- `infer/gone.c` b\n' | add compute-node/DESIGN.md
expect design_map 'DESIGN.md:2: design_map: there is no infer/gone'
rm "$root/data-node/DESIGN.md"
expect design_map 'data-node/DESIGN.md:1: design_map: missing'

fresh
printf '/* A header without guard. */\nint x;\n' | add common/base/bare.h
expect header_guard 'bare.h:1.*BASE_BARE_H'
printf '/* A wrong guard here. */\n#ifndef BARE_H\n#define BARE_H\n#endif\n' | add common/base/bare.h
expect header_guard 'bare.h:1.*BASE_BARE_H'

mkdir -p "$root/tests/unit/store"
printf '/* A header of tests. */\n#ifndef STORE_FIXTURE_H\n#define STORE_FIXTURE_H\n#endif\n' | add tests/unit/store/store_fixture.h
rm "$root/common/base/bare.h"
expect_clean header_guard

fresh
printf 'int x;\n' | add common/base/mute.c
expect purpose 'mute.c:1: purpose'
printf '#!/usr/bin/env bash\necho hello\n' | add tests/scenario/mute.sh
expect purpose 'mute.sh:1: purpose'

fresh
printf '/* A mark is left. */\nint x; /* %s: later */\n' TO''DO | add common/base/mark.c
expect words 'mark.c:2: words'

fresh
printf 'GGUF' | add tests/unit/model.gguf
expect copied_data 'model.gguf:1: copied_data'
if [ -d "$here/../../../shared/data" ]; then
	cat "$here/../../../shared/data/README.md" | add deploy/notes.txt
	mkdir -p "$root/tree" && ln -s "$(cd "$here/../../../shared" && pwd)" "$root/shared"
	mv "$root"/{common,data-node,compute-node,deploy,tests} "$root/tree/"
	root=$root/tree expect copied_data 'deploy/notes.txt:1: copied_data: the same bytes'
fi

fresh
printf '#!/usr/bin/env bash\n# A script with broken grammar.\nif true; then\n' | add tests/scenario/broken.sh
expect shell_syntax 'broken.sh:[0-9]+: shell_syntax'
if command -v shellcheck >/dev/null 2>&1; then
	printf '#!/usr/bin/env bash\n# A script with a warning.\ncd /nowhere\nlocal x=1\n' | add tests/scenario/broken.sh
	expect shell_syntax 'broken.sh:[0-9]+: shell_syntax'
fi

if command -v clang-format >/dev/null 2>&1; then
	fresh
	cp "$here/../../.clang-format" "$root/"
	printf '/* A file out of shape. */\nint   f( void ) { return 0; }\n' | add common/base/shape.c
	expect format 'shape.c:2: format'
fi

[ $failures = 0 ] && echo "lint self-test: every rule catches its sample"
[ $failures = 0 ]
