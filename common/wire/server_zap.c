/*
 * ZAP (ZeroMQ RFC 27): who may finish a handshake.  The handler answers from
 * the server's I/O thread; the allow-list is read again whenever its file
 * changed.  A list that cannot be read lets nobody new in.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "wire/server_state.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_ROUND 32
#define ZAP_FIELD_BYTES_MAX 255
/* version, request id, domain, address, routing id, mechanism, credentials */
#define ZAP_FIELDS 7

struct zap_field {
	char bytes[ZAP_FIELD_BYTES_MAX + 1]; /* a NUL behind them */
	size_t len;                          /* more than ..._MAX: too long */
};

enum { ZAP_VERSION, ZAP_ID, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_ROUTING, ZAP_MECHANISM, ZAP_KEY };

enum rc server_zap_open(struct wire_server *server, struct errmsg *why)
{
	server->allow_good = true; /* wire_server_open() read it */
	server->zap = zmq_socket(server->zmq, ZMQ_REP);
	if (server->zap == NULL)
		return errmsg_rc(why, RC_NOMEM, "no socket: %s", zmq_strerror(errno));
	enum rc rc = socket_set_int(server->zap, ZMQ_LINGER, 0, why);
	if (rc == RC_OK && zmq_bind(server->zap, ZAP_ENDPOINT) != 0)
		rc = errmsg_rc(why, RC_CONFIG, "no ZAP handler: %s", zmq_strerror(errno));
	return rc;
}

static void take_stamp(const char *path, struct file_stamp *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (stat(path, &st) != 0)
		return;
	out->there = true;
	out->device = st.st_dev;
	out->inode = st.st_ino;
	out->size = st.st_size;
	out->changed = st.st_ctim;
	out->modified = st.st_mtim;
}

static bool same_stamp(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->there == b->there && a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec &&
	       a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec;
}

bool server_allow_refresh(struct wire_server *server)
{
	struct errmsg why = ERRMSG_INIT;
	struct file_stamp now;

	take_stamp(server->allow_path, &now);
	if (same_stamp(&now, &server->allow_stamp))
		return false;
	server->allow_stamp = now; /* taken first: a later change is seen next time */
	enum rc rc = wire_allow_load(server->allow_path, &server->allow, &why);
	server->allow_good = rc == RC_OK;
	if (rc != RC_OK) {
		log_error("WIRE-ALLOW", "reason=%s", errmsg_text(&why, rc));
		return false;
	}
	log_info("WIRE-ALLOW", "keys=%zu", server->allow.n);
	return true;
}

/* All frames of one request; false: none waits. */
static bool receive(void *zap, struct zap_field fields[ZAP_FIELDS], size_t *n)
{
	int more = 1;

	for (*n = 0; more != 0;) {
		struct zap_field spare;
		struct zap_field *field = *n < ZAP_FIELDS ? &fields[*n] : &spare;
		int len = zmq_recv(zap, field->bytes, ZAP_FIELD_BYTES_MAX, ZMQ_DONTWAIT);
		size_t size = sizeof(more);
		if (len < 0)
			return false;
		field->len = (size_t)len;
		field->bytes[field->len > ZAP_FIELD_BYTES_MAX ? 0 : field->len] = '\0';
		(*n)++;
		if (zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size) != 0)
			return false;
	}
	return true;
}

static bool well_formed(const struct zap_field fields[ZAP_FIELDS], size_t n)
{
	return n == ZAP_FIELDS && strcmp(fields[ZAP_VERSION].bytes, "1.0") == 0 &&
	       fields[ZAP_ID].len <= ZAP_FIELD_BYTES_MAX &&
	       strcmp(fields[ZAP_DOMAIN].bytes, "hearth") == 0 &&
	       strcmp(fields[ZAP_MECHANISM].bytes, "CURVE") == 0 &&
	       fields[ZAP_KEY].len == WIRE_KEY_BYTES;
}

/* The reply's frames; the user id is what User-Id of each message will be. */
static void reply(void *zap, const struct zap_field *id, bool allowed, const char *user)
{
	const char *status = allowed ? "200" : "400";
	size_t id_len = id->len <= ZAP_FIELD_BYTES_MAX ? id->len : 0;

	(void)zmq_send(zap, "1.0", 3, ZMQ_SNDMORE);
	(void)zmq_send(zap, id->bytes, id_len, ZMQ_SNDMORE);
	(void)zmq_send(zap, status, strlen(status), ZMQ_SNDMORE);
	(void)zmq_send(zap, "", 0, ZMQ_SNDMORE);
	(void)zmq_send(zap, user, strlen(user), ZMQ_SNDMORE);
	(void)zmq_send(zap, "", 0, 0);
}

static void answer(struct wire_server *server, struct zap_field fields[ZAP_FIELDS], size_t n)
{
	char user[WIRE_KEY_TEXT_BYTES] = "";
	bool allowed = false;

	if (well_formed(fields, n)) {
		const uint8_t *key = (const uint8_t *)fields[ZAP_KEY].bytes;
		allowed = server->allow_good && wire_allow_has(&server->allow, key);
		wire_key_format(key, user);
	}
	if (!allowed) {
		server_count(server, &server->counts.refused_key);
		if (server_log_gate(server))
			log_warn("WIRE-REFUSED", "key=%.8s address=%s", user[0] ? user : "none",
			    n == ZAP_FIELDS ? fields[ZAP_ADDRESS].bytes : "unknown");
	}
	reply(server->zap, n > ZAP_ID ? &fields[ZAP_ID] : &(struct zap_field){ .len = 0 }, allowed,
	    allowed ? user : "");
}

bool server_zap_serve(struct wire_server *server)
{
	struct zap_field fields[ZAP_FIELDS];

	for (int i = 0; i < ZAP_ROUND; i++) {
		size_t n;
		if (!receive(server->zap, fields, &n))
			return false;
		(void)server_allow_refresh(server);
		answer(server, fields, n);
	}
	return true;
}
