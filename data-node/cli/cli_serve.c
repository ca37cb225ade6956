/* `data-node serve`: the node itself, until SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "gateway/guard.h"
#include "gateway/http.h"
#include "gateway/station.h"
#include "gateway/tls.h"
#include "os/file.h"
#include "os/notify.h"
#include "os/process.h"
#include "store/store.h"

#define CLOSE_GRACE_NS (5 * NS_PER_S)
#define URL_BYTES_MAX ((size_t)256)
#define HOST_BYTES_MAX 64
#define TEXT_OF(number) #number
#define DEFAULT(name) TEXT_OF(name) /* a number's name as text of it */
#define DISCARD_PORT 9              /* nothing is sent to it */

struct serve_options {
	const char *dir, *config, *listen, *host_name, *key_file, *passphrase_file;
	const char *zone, *model, *embed_model, *log_level, *night_at, *night_model, *follow_listen;
	const char *tls_cert, *tls_key;
	bool tls;
	int64_t resume_timeout_ns, start_timeout_ns, night_time_ns;
	int64_t context_tokens, answer_tokens, connections;
	uint64_t quota_bytes;
};

#define ROW(row_name, row_type, field)                                                             \
	.name = row_name, .type = row_type, .offset = offsetof(struct serve_options, field)

static const struct conf_option options[] = {
	CLI_OPTION_DIR(struct serve_options),
	{ ROW("config", CONF_STRING, config), .value = "FILE", .flag_only = true,
	    .help = "read options from this file (else DIR/data.conf); flags win" },
	{ ROW("listen", CONF_STRING, listen), .value = "HOST:PORT", .fallback = "127.0.0.1:8420",
	    .help = "where HTTP is served; beyond loopback with TLS" },
	{ ROW("tls", CONF_BOOL, tls), .help = "TLS on loopback too" },
	{ ROW("tls-cert", CONF_STRING, tls_cert), .value = "FILE",
	    .help = "a certificate of your own, PEM (else the one that init made)" },
	{ ROW("tls-key", CONF_STRING, tls_key), .value = "FILE", .help = "its key" },
	{ ROW("host-name", CONF_STRING, host_name), .value = "NAME",
	    .help = "another name that requests may use in their Host header" },
	{ ROW("key-file", CONF_STRING, key_file), .value = "FILE",
	    .help = "the key that unlocks the timeline (else the one of init)" },
	{ ROW("passphrase-file", CONF_STRING, passphrase_file), .value = "FILE",
	    .help = "unlock with the passphrase in this file's first line" },
	{ ROW("zone", CONF_STRING, zone), .value = "ZONE",
	    .help = "the owner's time zone, as in Europe/Berlin (else the system's)" },
	{ ROW("model", CONF_STRING, model), .value = "NAME",
	    .help = "the model that answers as \"hearth\" (else any chat model that is up)" },
	{ ROW("embed-model", CONF_STRING, embed_model), .value = "NAME|auto|none",
	    .fallback = "auto",
	    .help = "the model whose vectors recall uses beside words; auto: the first that a "
		    "compute node serves for embedding alone" },
	{ ROW("resume-timeout", CONF_DURATION, resume_timeout_ns), .value = "TIME",
	    .fallback = "120s",
	    .help = "how long an answer waits for a compute node that was lost" },
	{ ROW("start-timeout", CONF_DURATION, start_timeout_ns), .value = "TIME", .fallback = "0s",
	    .help = "how long a question waits for a first compute node" },
	{ ROW("context-tokens", CONF_INT, context_tokens), .value = "N",
	    .fallback = DEFAULT(STATION_CONTEXT_TOKENS), .min = 100, .max = 1000000,
	    .help = "budget of the moments given to the model" },
	{ ROW("answer-tokens", CONF_INT, answer_tokens), .value = "N",
	    .fallback = DEFAULT(STATION_ANSWER_TOKENS), .min = 1, .max = 1000000,
	    .help = "longest answer where the client sets no limit" },
	{ ROW("connections", CONF_INT, connections), .value = "N", .fallback = "128", .min = 1,
	    .max = 4096, .help = "connections served at one time" },
	{ ROW("quota", CONF_BYTES, quota_bytes), .value = "BYTES", .fallback = "0",
	    .help = "largest size of the timeline on disk; 0: none" },
	{ ROW("night-at", CONF_STRING, night_at), .value = "HH:MM", .fallback = "03:30",
	    .help = "local time at which the night's work begins; \"never\": only when told" },
	{ ROW("night-time", CONF_DURATION, night_time_ns), .value = "TIME", .fallback = "2h",
	    .help = "how long it may take; the rest is for the next night" },
	{ ROW("night-model", CONF_STRING, night_model), .value = "NAME",
	    .help = "the model that the night's work asks (else the largest that is up)" },
	{ ROW("follow-listen", CONF_STRING, follow_listen), .value = "tcp://HOST:PORT",
	    .help = "let the data nodes of `data-node follower` follow this one here (else off)" },
	{ ROW("log-level", CONF_STRING, log_level), .value = "LEVEL", .fallback = "info",
	    .help = "error, warn, info or debug" },
	{ .name = NULL },
};

static const struct conf_command command = {
	.name = "serve",
	.summary = "run the data node",
	.detail = "Serves HTTP, beyond loopback HTTPS, and DIR/control.sock for the other\n"
		  "commands, dials the registered compute nodes, and ends on SIGTERM.",
	.options = options,
};

/* "127.0.0.1:8420", "localhost:8420", "[::1]:8420" */
static enum rc split_listen(
    const char *text, char host[HOST_BYTES_MAX], uint16_t *port, struct errmsg *why)
{
	const char *colon = strrchr(text, ':');
	const char *begin = text;
	char *end = NULL;

	if (colon == NULL || colon == text || colon[1] < '0' || colon[1] > '9')
		return errmsg_rc(why, RC_CONFIG, "listen: must read HOST:PORT");
	errno = 0;
	unsigned long n = strtoul(colon + 1, &end, 10);
	if (errno != 0 || *end != 0 || n > 65535)
		return errmsg_rc(why, RC_CONFIG, "listen: the port is no number up to 65535");
	size_t len = (size_t)(colon - begin);
	if (begin[0] == '[' && len > 2 && begin[len - 1] == ']') {
		begin++;
		len -= 2;
	}
	if (len == 0 || len >= HOST_BYTES_MAX)
		return errmsg_rc(why, RC_CONFIG, "listen: must read HOST:PORT");
	memcpy(host, begin, len);
	host[len] = 0;
	*port = (uint16_t)n;
	return RC_OK;
}

/* "03:30"; "never" is 0. */
static enum rc read_night_at(const char *text, int *at_s, struct errmsg *why)
{
	unsigned hour = 24, minute = 60;
	char rest;

	*at_s = 0;
	if (strcmp(text, "never") == 0)
		return RC_OK;
	if (sscanf(text, "%2u:%2u%c", &hour, &minute, &rest) != 2 || hour > 23 || minute > 59)
		return errmsg_rc(why, RC_CONFIG, "night-at: HH:MM, as in 03:30, or never");
	/* Midnight sharp is a second later: 0 says never. */
	*at_s = hour + minute == 0 ? 1 : (int)(hour * 3600 + minute * 60);
	return RC_OK;
}

/* Flags over the file over the defaults. */
static int read_options(int argc, char **argv, struct serve_options *values, struct arena *arena)
{
	struct conf_argv args = { 0 };
	struct errmsg why = ERRMSG_INIT;

	int code = cli_parse(&command, argc, argv, values, &args, arena);
	if (code != CLI_GO_ON)
		return code;
	const char *path = values->config, *dir = cli_dir(values->dir, arena);
	if (path == NULL && dir != NULL)
		path = arena_printf(arena, "%s/data.conf", dir);
	if (path == NULL)
		return cli_fail(command.name, RC_NOMEM, &why);
	if (values->config == NULL && !file_exists(path))
		return CLI_GO_ON;
	memset(values, 0, sizeof(*values));
	memset(&args, 0, sizeof(args));
	enum rc rc = conf_defaults(&command, values, arena, &why);
	if (rc == RC_OK)
		rc = conf_parse_file(&command, path, values, arena, &why);
	if (rc == RC_OK)
		rc = conf_parse_argv(&command, argc, argv, values, &args, arena, &why);
	if (rc == RC_OK)
		return CLI_GO_ON;
	(void)cli_fail(command.name, rc, &why);
	return rc == RC_NOMEM ? EXIT_FAILED : EXIT_CONFIG;
}

/* Between two signs of life for the service manager; -1: it asks for none. */
static int watch_ms(void)
{
	int64_t every_ns = notify_watchdog_ns();

	return every_ns == 0 ? -1 : (int)(every_ns / NS_PER_MS);
}

/* This machine's address on the way to others, by asking the routes where a packet
 * to a documentation address would go (none is sent); "" if nowhere. */
static void find_address(int family, char out[INET6_ADDRSTRLEN])
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(DISCARD_PORT) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(DISCARD_PORT) };
	bool is_four = family == AF_INET;
	struct sockaddr *to = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
	socklen_t len = is_four ? sizeof(four) : sizeof(six);

	(void)inet_pton(AF_INET, "192.0.2.1", &four.sin_addr);
	(void)inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr);
	out[0] = '\0';
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, to, len) == 0 && getsockname(fd, to, &len) == 0)
		(void)inet_ntop(family, is_four ? (void *)&four.sin_addr : (void *)&six.sin6_addr,
		    out, INET6_ADDRSTRLEN);
	(void)close(fd);
}

/* "https://192.168.1.4:8420" for a node that listens everywhere. */
static void write_url(const struct http_config *config, uint16_t port, char url[URL_BYTES_MAX])
{
	const char *scheme = config->tls_key != NULL ? "https" : "http", *host = config->host;
	char found[INET6_ADDRSTRLEN] = "";

	if (config->name != NULL && config->tls_key != NULL)
		host = config->name;
	else if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		find_address(host[0] == ':' ? AF_INET6 : AF_INET, found);
	if (found[0] != '\0')
		host = found;
	(void)snprintf(url, URL_BYTES_MAX,
	    strchr(host, ':') != NULL ? "%s://[%s]:%u" : "%s://%s:%u", scheme, host, port);
}

static enum rc run(struct station *station, struct http_config *http_config, const char *pin,
    const char *control_path, struct errmsg *why)
{
	struct http_config control_config = { .station = station, .control_path = control_path };
	struct http *http = NULL, *control = NULL;
	char url[URL_BYTES_MAX];

	http_config->station = station;
	enum rc rc = http_open(http_config, &http, why);
	if (rc == RC_OK)
		rc = http_open(&control_config, &control, why);
	if (rc == RC_OK) {
		struct pollfd stop = { .fd = process_stop_fd(), .events = POLLIN };
		write_url(http_config, http_port(http), url);
		station_set_url(station, url, pin);
		log_info("SERVE-READY", "listen=%s:%u control=%s records=%llu", http_config->host,
		    http_port(http), control_path,
		    (unsigned long long)store_cursor(station_store(station)));
		if (pin[0] != '\0')
			log_info("SERVE-TLS", "url=%s pin=%s", url, pin);
		notify_send("READY=1");
		while (!process_stopping()) {
			notify_send("WATCHDOG=1");
			(void)poll(&stop, 1, watch_ms());
		}
		notify_send("STOPPING=1");
		log_info("SERVE-STOPPING", "connections=%d", http_connections(http));
	}
	station_stop(station);
	http_close(http, CLOSE_GRACE_NS);
	http_close(control, CLOSE_GRACE_NS);
	return rc;
}

static enum rc serve(const struct serve_options *values, struct arena *arena, struct errmsg *why)
{
	struct station_config config = { .dir = cli_dir(values->dir, arena),
		.key_file = values->key_file,
		.passphrase_file = values->passphrase_file,
		.parts = STATION_ALL,
		.embed_model = values->embed_model,
		.zone = values->zone,
		.model = values->model,
		.resume_timeout_ns = values->resume_timeout_ns,
		.start_timeout_ns = values->start_timeout_ns,
		.context_tokens = (uint32_t)values->context_tokens,
		.answer_tokens = (uint32_t)values->answer_tokens,
		.quota_bytes = values->quota_bytes,
		.night_most_ns = values->night_time_ns,
		.night_model = values->night_model,
		.follow_listen = values->follow_listen,
		.log_links = true };
	struct http_config http = { .name = values->host_name,
		.connections_max = (int)values->connections };
	char host[HOST_BYTES_MAX];
	struct station *station = NULL;
	struct tls_identity identity = { 0 };

	if (strcmp(values->embed_model, "none") == 0)
		config.parts &= ~STATION_VECTORS;
	if (strcmp(values->embed_model, "auto") == 0)
		config.embed_model = NULL;
	int level = log_level_parse(values->log_level);
	if (level < 0)
		return errmsg_rc(why, RC_CONFIG, "log-level: error, warn, info or debug");
	log_set_level((enum log_level)level);
	http.host = host;
	enum rc rc = split_listen(values->listen, host, &http.port, why);
	if (rc == RC_OK)
		rc = read_night_at(values->night_at, &config.night_at_s, why);
	if (rc != RC_OK)
		return rc;
	rc = process_catch_signals(why);
	const char *control =
	    config.dir != NULL ? arena_printf(arena, "%s/control.sock", config.dir) : NULL;
	if (rc == RC_OK && control == NULL)
		rc = RC_NOMEM;
	if (rc == RC_OK)
		rc = station_open(&config, &station, why);
	if (rc != RC_OK)
		return rc;
	if (values->tls || values->tls_cert != NULL || values->tls_key != NULL ||
	    !guard_loopback(host))
		rc = tls_identity_load(
		    config.dir, values->tls_cert, values->tls_key, &identity, why);
	http.tls_key = identity.key_pem;
	http.tls_cert = identity.cert_pem;
	if (rc == RC_OK)
		rc = run(station, &http, identity.pin, control, why);
	station_close(station);
	tls_identity_fini(&identity);
	if (rc == RC_OK)
		log_info("SERVE-STOPPED", "exit=0");
	return rc;
}

int cli_serve(int argc, char **argv)
{
	struct serve_options values = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;

	arena_init(&arena, CLI_ARENA_BYTES);
	int code = read_options(argc, argv, &values, &arena);
	if (code == CLI_GO_ON) {
		enum rc rc = serve(&values, &arena, &why);
		code = rc == RC_OK ? EXIT_DONE : cli_fail(command.name, rc, &why);
	}
	arena_fini(&arena);
	return code;
}
