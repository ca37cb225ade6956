#!/usr/bin/env bash
# What a compute node does after it is ready, as the kernel sees it: no file is
# opened for writing or changed, no program is run, nobody is connected to.  And there
# is no way in but the one address: one socket that listens, no other endpoint, no
# switch in the environment that is not documented.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

[[ $HEARTH_BUILD != *sanitize* ]] || skip 'cannot be confined'
tiny_model "$T/tiny.gguf" --seed 3 --ctx 1024
data_init
compute_init box
pair box
compute_start box "$T/tiny.gguf"
data_start
wait_for_model tiny
worker=$(worker_of box)

# ---- the ways in ---------------------------------------------------------------------
sockets_of() { # PID: inodes
	find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n'
}
listening() { # PID
	local inodes
	inodes=$(sockets_of "$1" | paste -sd' ')
	awk -v inodes="$inodes" 'BEGIN { split(inodes, list, " "); for (i in list) own[list[i]] = 1 }
		FILENAME ~ /unix/ { if ($4 == "00010000" && $7 in own) print "unix", $8; next }
		$4 == "0A" && $10 in own { print "tcp", $2 }
		FILENAME ~ /udp/ && $10 in own { print "udp", $2 }' \
		/proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 /proc/net/unix 2>/dev/null
}
expect 'what the supervisor listens on' "$(listening "${PID[box]}")" ''
expect 'what the worker listens on' "$(listening "$worker" | wc -l)" 1
expect_match 'what the worker listens on' "$(listening "$worker")" \
	"^tcp 0100007F:$(printf '%04X' "${COMPUTE_PORT[box]}")\$"

# Anything that speaks HTTP is not answered, whatever it asks for.
for path in / /metrics /debug /healthz; do
	if curl -sS -m 5 "http://127.0.0.1:${COMPUTE_PORT[box]}$path" 2>/dev/null | grep -qa '[a-z]'; then
		fail "the compute node answers GET $path"
	fi
done
strings=$(tr -c '[:print:]' '\n' <"$COMPUTE")
expect 'switches in the environment' "$(grep -oE '\bHEARTH_[A-Z][A-Z_]*' <<<"$strings" | sort -u | paste -sd' ')" 'HEARTH_WATCH'
for word in 'HTTP/1' 'GET /' '/debug' '/admin' 'backdoor' '/bin/sh' 'ptrace('; do
	if grep -qF -- "$word" <<<"$strings"; then fail "the program holds '$word'"; fi
done

# ---- what it calls -------------------------------------------------------------------
command -v strace >/dev/null || skip 'no strace: the ways in were looked at, calls were not'
calls=openat,open,creat,execve,execveat,connect,socket,ptrace,io_uring_setup,io_uring_enter,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,symlink,symlinkat,truncate,ftruncate,mknod,mknodat,fork,vfork,process_vm_readv,process_vm_writev,memfd_create,pwrite64,kill,bpf,mount,setxattr
strace -f -qq -e "trace=$calls" -e signal=none -o "$T/calls" -p "$worker" -p "${PID[box]}" 2>"$T/strace.err" &
PID[strace]=$!
attached() {
	grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$worker/status" &&
		grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/${PID[box]}/status"
}
attached_or_not() {
	attached || gone strace
}
wait_until 10 'strace is attached' attached_or_not
attached || skip "strace cannot attach here: $(head -n 1 "$T/strace.err")"
for n in 1 2 3; do
	post_json /v1/completions "{\"model\":\"tiny\",\"prompt\":\"the day $n was\",\"max_tokens\":20}" >/dev/null
	post_json /v1/chat/completions "{\"model\":\"hearth\",\"max_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"day $n?\"}]}" >/dev/null
done
status_of POST /v1/completions --data-binary '{"model":"tiny","prompt":"x","max_tokens":100000}' >/dev/null
node_stop data # leases and peers go
data_start
wait_for_model tiny
"$COMPUTE" allow --dir "$T/box" "$(printf '%064d' 7)" >/dev/null # the list is read anew
allowed_again() {
	[ "$(count_in_log box WIRE-ALLOW)" -ge 2 ]
}
wait_until 10 'the list is read anew' allowed_again
kill -INT "${PID[strace]}"
wait_until 10 'strace lets go' gone strace
unset 'PID[strace]'
node_stop box

# Files are opened for reading, and that was seen.  A call that another thread's cuts into
# ends as "<unfinished ...>" and goes on as "resumed>".
grep -q 'open.*O_RDONLY' "$T/calls" || fail 'nothing was seen'
if grep -vE '^[0-9]+ +(openat|open)\([^)]*O_RDONLY|^[0-9]+ +(\+\+\+|---)|resumed>' "$T/calls" | grep . ||
	grep -E 'O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND' "$T/calls"; then
	fail 'such calls are not for a node that serves'
fi
echo "$(wc -l <"$T/calls") calls, all of them opening for reading"
