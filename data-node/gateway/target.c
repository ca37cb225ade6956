/* Percent-decoding of a request's target. */
#include "gateway/target.h"

#include <string.h>

#include "base/utf8.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decode `len` bytes at `text`; NULL and `*rc` on failure. */
static const char *decode(const char *text, size_t len, bool plus_is_blank, struct arena *arena,
    enum rc *rc, struct errmsg *why)
{
	size_t n = 0;

	char *out = arena_alloc(arena, len + 1);
	if (out == NULL) {
		*rc = RC_NOMEM;
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '+' && plus_is_blank) {
			c = ' ';
		} else if (c == '%') {
			int hi = i + 2 < len ? hex_value(text[i + 1]) : -1;
			int lo = i + 2 < len ? hex_value(text[i + 2]) : -1;
			if (hi < 0 || lo < 0) {
				*rc = errmsg_rc(why, RC_INVALID, "broken percent sequence");
				return NULL;
			}
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		if (c == 0) {
			*rc = errmsg_rc(why, RC_INVALID, "NUL byte in the request's target");
			return NULL;
		}
		out[n++] = c;
	}
	out[n] = 0;
	if (!utf8_valid(out, n)) {
		*rc = errmsg_rc(why, RC_INVALID, "the request's target is not UTF-8");
		return NULL;
	}
	return out;
}

static size_t count_params(const char *query)
{
	size_t n = *query != 0;

	for (; *query != 0; query++)
		n += *query == '&';
	return n;
}

static enum rc parse_query(
    const char *query, struct arena *arena, struct api_request *request, struct errmsg *why)
{
	enum rc rc = RC_OK;
	size_t max = count_params(query), n = 0;

	if (max > TARGET_PARAMS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "more than %zu query parameters", TARGET_PARAMS_MAX);
	struct api_param *params = arena_array(arena, max + 1, sizeof(*params));
	if (params == NULL)
		return RC_NOMEM;
	while (*query != 0) {
		size_t len = strcspn(query, "&");
		size_t name_len = strcspn(query, "=&");
		const char *value = name_len < len ? query + name_len + 1 : query + name_len;
		size_t value_len = name_len < len ? len - name_len - 1 : 0;
		if (len > 0) {
			params[n].name = decode(query, name_len, true, arena, &rc, why);
			if (rc == RC_OK)
				params[n].value = decode(value, value_len, true, arena, &rc, why);
			if (rc != RC_OK)
				return rc;
			for (size_t i = 0; i < n; i++) {
				if (strcmp(params[i].name, params[n].name) == 0)
					return errmsg_rc(
					    why, RC_INVALID, "a query parameter is given twice");
			}
			n++;
		}
		query += len;
		if (*query == '&')
			query++;
	}
	request->params = params;
	request->params_len = n;
	return RC_OK;
}

enum rc target_parse(
    const char *target, struct arena *arena, struct api_request *request, struct errmsg *why)
{
	enum rc rc = RC_OK;

	if (strnlen(target, TARGET_BYTES_MAX + 1) > TARGET_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "the request's target is longer than %zu bytes",
		    TARGET_BYTES_MAX);
	if (target[0] != '/')
		return errmsg_rc(why, RC_INVALID, "the request's target is no path");
	size_t path_len = strcspn(target, "?#");
	if (path_len > TARGET_PATH_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "the request's path is longer than %zu bytes",
		    TARGET_PATH_BYTES_MAX);
	request->params = NULL;
	request->params_len = 0;
	request->path = decode(target, path_len, false, arena, &rc, why);
	if (rc != RC_OK)
		return rc;
	if (target[path_len] != '?')
		return RC_OK;
	return parse_query(target + path_len + 1, arena, request, why);
}

void target_escape(struct buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (; *text != 0; text++) {
		if (strchr(plain, *text) != NULL)
			buf_putc(out, *text);
		else
			buf_printf(out, "%%%02X", (unsigned char)*text);
	}
}
