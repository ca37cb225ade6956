#!/usr/bin/env bash
# What a service manager hears of both nodes: ready once they serve, signs of life,
# the end; of the compute node also that its worker was started again.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

command -v python3 >/dev/null || skip 'no python3 to listen on a socket of datagrams'

# A manager by name: each datagram becomes lines of a file.
manager() { # NAME
	python3 - "$T/$1.sock" >"$T/$1.heard" 2>"$T/$1.err" <<-'END' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		while True:
		    print(s.recv(4096).decode(), flush=True)
	END
	PID[manager_$1]=$!
	wait_until 10 "the manager of $1 listens" test -S "$T/$1.sock"
}
heard() { # NAME LINE [TIMES]
	[ "$(grep -cx -- "$2" "$T/$1.heard")" -ge "${3:-1}" ]
}

tiny_model "$T/tiny.gguf"
data_init
compute_init box
for name in data box; do
	manager $name
done
export WATCHDOG_USEC=200000
NOTIFY_SOCKET=$T/box.sock compute_start box "$T/tiny.gguf"
NOTIFY_SOCKET=$T/data.sock data_start
for name in data box; do
	wait_until 10 "$name is ready" heard $name READY=1
	wait_until 10 "$name lives" heard $name WATCHDOG=1 3
done
if heard box 'STATUS=.* 1 restarts.*'; then fail 'a restart that was none'; fi
kill -9 "$(worker_of box)"
wait_until 20 'the restart is told' heard box 'STATUS=tcp://.*, 1 restarts, memory ok'
node_stop box
node_stop data
for name in data box; do
	heard $name STOPPING=1 || fail "$name did not say that it ends"
done
