/*
 * Metrics: counters of this process, numbers only, never content.
 *
 * One fixed list; metric_add() from any thread.  GET /metrics prints them
 * with the station's gauges in the Prometheus text form.
 */
#ifndef GATEWAY_METRIC_H
#define GATEWAY_METRIC_H

#include <stdint.h>

#include "base/buf.h"

/* X(NAME, "prometheus_name", "help") */
#define METRIC_LIST(X)                                                                             \
	X(REQUESTS, "hearth_http_requests_total", "requests answered")                             \
	X(ERRORS_CLIENT, "hearth_http_client_errors_total", "answers with a 4xx status")           \
	X(ERRORS_SERVER, "hearth_http_server_errors_total", "answers with a 5xx status")           \
	X(REFUSED_TOKEN, "hearth_auth_failures_total", "requests without a valid token")           \
	X(REFUSED_RATE, "hearth_auth_limited_total", "failures answered with 429")                 \
	X(REFUSED_ORIGIN, "hearth_origin_refused_total", "foreign Host or Origin")                 \
	X(REFUSED_CONNECTION, "hearth_connections_refused_total", "over the connection limit")     \
	X(CLIENTS_GONE, "hearth_clients_gone_total", "clients that left before the answer ended")  \
	X(BODY_BYTES, "hearth_http_body_bytes_total", "bytes of request bodies")                   \
	X(EVENTS_ACCEPTED, "hearth_events_accepted_total", "events stored")                        \
	X(EVENTS_DUPLICATE, "hearth_events_duplicate_total", "events that were there already")     \
	X(EVENTS_REJECTED, "hearth_events_rejected_total", "events refused by their fields")       \
	X(FORGOTTEN, "hearth_forgotten_total", "records forgotten")                                \
	X(SEARCHES, "hearth_searches_total", "searches answered")                                  \
	X(ANSWERS, "hearth_answers_total", "answers with the person's context")                    \
	X(ANSWERS_RECALL_ONLY, "hearth_answers_recall_only_total", "answered without a model")     \
	X(ANSWERS_RESUMED, "hearth_answers_resumed_total", "resumed after losing a compute node")  \
	X(ANSWERS_FAILED, "hearth_answers_failed_total", "answers that ended in an error")         \
	X(ANSWERS_ELSEWHERE, "hearth_answers_elsewhere_total", "answers begun by an upstream")     \
	X(ANSWERS_FELL, "hearth_answers_fell_total", "upstreams that failed: answered at home")    \
	X(TOKENS_PROMPT, "hearth_prompt_tokens_total", "prompt tokens of finished answers")        \
	X(TOKENS_GENERATED, "hearth_generated_tokens_total", "generated tokens")

enum metric {
#define X(name, prometheus, help) METRIC_##name,
	METRIC_LIST(X)
#undef X
	    METRIC_COUNT
};

void metric_add(enum metric metric, uint64_t n);
uint64_t metric_get(enum metric metric);

/* Append every counter with its HELP and TYPE lines. */
void metric_print(struct buf *out);

/* Append one gauge. */
void metric_print_gauge(struct buf *out, const char *name, const char *help, double value);

#endif
