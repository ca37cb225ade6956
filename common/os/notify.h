/*
 * Notify: tell the service manager how the process is (systemd's protocol:
 * datagrams of NAME=VALUE lines to the socket that $NOTIFY_SOCKET names).
 *
 * Without a service manager all of it does nothing.  Failures are ignored: what
 * is not said is asked for again by the next watchdog's turn.  Any thread.
 */
#ifndef OS_NOTIFY_H
#define OS_NOTIFY_H

#include <stdint.h>

/* "READY=1\nSTATUS=serving", "WATCHDOG=1", "STOPPING=1", … */
void notify_send(const char *lines);

/* How often WATCHDOG=1 is to be sent, half of what the manager allows; 0: it
 * does not ask for it, or asks another process. */
int64_t notify_watchdog_ns(void);

#endif
