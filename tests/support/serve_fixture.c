/* A serving compute node and its data nodes in one process. */
#include "serve_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Far beyond what any test needs: it ends a hang, it measures nothing. */
#define DEADLINE_S 120

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "serve_fixture: %s\n", what);
	abort();
}

static void require_ok(enum rc rc, const struct errmsg *why, const char *what)
{
	if (rc == RC_OK)
		return;
	(void)fprintf(stderr, "serve_fixture: %s: %s\n", what, errmsg_text(why, rc));
	abort();
}

/* Under the lock. */
static struct serve_answer *find(struct serve_fixture *fixture, uint64_t request_id, bool make)
{
	struct serve_answer *empty = NULL;

	for (size_t i = 0; i < SERVE_FIXTURE_ANSWERS_MAX; i++) {
		struct serve_answer *answer = &fixture->answers[i];

		if (answer->request_id == request_id)
			return answer;
		if (answer->request_id == 0 && empty == NULL)
			empty = answer;
	}
	if (!make)
		return NULL;
	require(empty != NULL, "too many answers kept");
	*empty = (struct serve_answer){ .request_id = request_id, .logprobs_ordered = true };
	empty->ids = calloc(SERVE_FIXTURE_IDS_MAX, sizeof(uint32_t));
	empty->text_ends = calloc(SERVE_FIXTURE_IDS_MAX, sizeof(uint64_t));
	empty->times_ns = calloc(SERVE_FIXTURE_IDS_MAX, sizeof(int64_t));
	require(
	    empty->ids != NULL && empty->text_ends != NULL && empty->times_ns != NULL, "memory");
	buf_init(&empty->text, (size_t)1 << 20);
	return empty;
}

static void put_ids(struct serve_answer *answer, const uint32_t *ids, size_t len)
{
	require(answer->len + len <= SERVE_FIXTURE_IDS_MAX, "too many ids");
	if (len != 0)
		memcpy(answer->ids + answer->len, ids, len * sizeof(ids[0]));
	answer->len += len;
}

static void put_started(struct serve_answer *answer, const struct wire_started *started)
{
	answer->broken |= answer->started;
	answer->started = true;
	answer->cached_tokens = started->cached_tokens;
	(void)snprintf(
	    answer->template_name, sizeof(answer->template_name), "%s", started->chat_template);
	(void)snprintf(answer->cache_type, sizeof(answer->cache_type), "%s", started->cache_type);
	answer->prompt_len = started->prompt_ids_len;
	answer->prompt_ids = calloc(started->prompt_ids_len + 1, sizeof(uint32_t));
	require(answer->prompt_ids != NULL, "memory");
	if (answer->prompt_len != 0)
		memcpy(
		    answer->prompt_ids, started->prompt_ids, answer->prompt_len * sizeof(uint32_t));
}

static void put_logprobs(struct serve_answer *answer, const struct wire_tokens *tokens)
{
	for (size_t i = 0; i < tokens->logprobs_len; i++) {
		const struct wire_token_logprobs *lp = &tokens->logprobs[i];

		answer->logprobs++;
		answer->logprob_sum += lp->logprob;
		for (size_t j = 0; j + 1 < lp->top_len; j++)
			answer->logprobs_ordered &= lp->top_logprobs[j] >= lp->top_logprobs[j + 1];
	}
}

static void put_tokens(struct serve_answer *answer, const struct wire_tokens *tokens)
{
	if (answer->len == 0 && answer->text.len == 0) {
		answer->first_index = tokens->first_index;
		answer->first_offset = tokens->text_offset;
	}
	answer->broken |= !answer->started || answer->done || answer->failed;
	answer->broken |= tokens->first_index != answer->first_index + answer->len;
	answer->broken |= tokens->text_offset != answer->first_offset + answer->text.len;
	put_ids(answer, tokens->ids, tokens->ids_len);
	buf_append(&answer->text, tokens->text, tokens->text_len);
	if (tokens->ids_len != 0) {
		answer->text_ends[answer->len - 1] = answer->first_offset + answer->text.len;
		answer->times_ns[answer->len - 1] = clock_mono_ns();
	}
	put_logprobs(answer, tokens);
}

static void put_single(struct serve_answer *answer, const struct message *message)
{
	answer->done = true;
	switch (message->kind) {
	case MESSAGE_TOKEN_IDS:
		put_ids(answer, message->u.token_ids.ids, message->u.token_ids.ids_len);
		answer->counts_len = message->u.token_ids.part_counts_len;
		require(answer->counts_len <= 16, "too many parts");
		for (size_t i = 0; i < answer->counts_len; i++)
			answer->counts[i] = message->u.token_ids.part_counts[i];
		break;
	case MESSAGE_VECTORS: {
		size_t len = message->u.vectors.values_len;
		float *values = calloc(len, sizeof(*values));

		require(values != NULL, "memory");
		memcpy(values, message->u.vectors.values, len * sizeof(*values));
		answer->vectors = message->u.vectors;
		answer->vectors.values = values;
		break;
	}
	case MESSAGE_PLAN:
		answer->plan = message->u.plan;
		break;
	case MESSAGE_STATS:
		answer->stats = message->u.stats;
		break;
	case MESSAGE_ADAPTER_STATE:
		answer->adapter = message->u.adapter_state;
		break;
	case MESSAGE_LEASE_STATE:
		answer->lease = message->u.lease_state;
		break;
	default:
		break;
	}
}

static void on_message(void *ctx, const struct message *message)
{
	struct serve_link *link = ctx;
	struct serve_fixture *fixture = link->fixture;

	(void)pthread_mutex_lock(&fixture->lock);
	struct serve_answer *answer = find(fixture, message->request_id, true);
	answer->messages++;
	answer->last_kind = message->kind;
	switch (message->kind) {
	case MESSAGE_STARTED:
		put_started(answer, &message->u.started);
		break;
	case MESSAGE_TOKENS:
		put_tokens(answer, &message->u.tokens);
		break;
	case MESSAGE_DONE:
		answer->broken |= answer->done || answer->failed;
		answer->end = message->u.done;
		(void)snprintf(answer->stop, sizeof(answer->stop), "%s", message->u.done.stop);
		answer->done = true;
		break;
	case MESSAGE_ERROR:
		answer->broken |= answer->done || answer->failed;
		answer->failed = true;
		answer->code = message->u.error.code;
		answer->context = message->u.error.context;
		answer->needed = message->u.error.needed;
		(void)snprintf(answer->error, sizeof(answer->error), "%s", message->u.error.text);
		break;
	default:
		put_single(answer, message);
		break;
	}
	(void)pthread_cond_broadcast(&fixture->changed);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static void on_up(void *ctx, const struct wire_capabilities *capabilities)
{
	struct serve_link *link = ctx;

	(void)pthread_mutex_lock(&link->fixture->lock);
	link->up = true;
	if (capabilities->models_len != 0) {
		link->model = capabilities->models[0];
		(void)snprintf(
		    link->model_name, sizeof(link->model_name), "%s", capabilities->models[0].name);
	}
	link->load = capabilities->load;
	(void)pthread_cond_broadcast(&link->fixture->changed);
	(void)pthread_mutex_unlock(&link->fixture->lock);
}

static void on_down(void *ctx, enum rc reason)
{
	struct serve_link *link = ctx;

	(void)reason;
	(void)pthread_mutex_lock(&link->fixture->lock);
	link->up = false;
	(void)pthread_cond_broadcast(&link->fixture->changed);
	(void)pthread_mutex_unlock(&link->fixture->lock);
}

void serve_fixture_init(struct serve_fixture *fixture, const struct tiny_gguf *model)
{
	struct errmsg why = ERRMSG_INIT;

	memset(fixture, 0, sizeof(*fixture));
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/hearth-serve-XXXXXX");
	require(mkdtemp(fixture->dir) != NULL, "mkdtemp");
	(void)snprintf(
	    fixture->model_path, sizeof(fixture->model_path), "%s/tiny.gguf", fixture->dir);
	(void)snprintf(fixture->allow_path, sizeof(fixture->allow_path), "%s/allow", fixture->dir);
	require_ok(tiny_gguf_write(fixture->model_path, model, &why), &why, "tiny model");
	require_ok(wire_keypair_new(&fixture->keys, &why), &why, "keys");
	for (int i = 0; i < SERVE_FIXTURE_LINKS; i++) {
		struct serve_link *link = &fixture->links[i];

		link->fixture = fixture;
		require_ok(wire_keypair_new(&link->keys, &why), &why, "keys");
		require_ok(wire_allow_add(fixture->allow_path, link->keys.public_key, &why), &why,
		    "allow-list");
	}
	require(pthread_mutex_init(&fixture->lock, NULL) == 0, "mutex");
	require(pthread_cond_init(&fixture->changed, NULL) == 0, "cond");
	fixture->paths[0] = fixture->model_path;
	fixture->config = (struct service_config){ .listen = "tcp://127.0.0.1:0",
		.keys = &fixture->keys,
		.allow_path = fixture->allow_path,
		.fleet = { .paths = fixture->paths,
		    .paths_len = 1,
		    .engine = { .n_seq = 4, .n_ubatch = 32, .n_threads = 2 } } };
}

void serve_fixture_start(struct serve_fixture *fixture)
{
	struct errmsg why = ERRMSG_INIT;

	require_ok(service_open(&fixture->config, &fixture->service, &why), &why, "service");
	(void)snprintf(
	    fixture->address, sizeof(fixture->address), "%s", service_address(fixture->service));
}

/* …/build/tests/unit/compute-node/serve/test_x → …/build/compute-node */
static void find_program(char *out, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", out, cap - 1);

	require(n > 0, "readlink");
	out[n] = '\0';
	char *tests = strstr(out, "/tests/");
	require(tests != NULL && (size_t)(tests - out) + 16 < cap, "a build folder");
	memcpy(tests, "/compute-node", sizeof("/compute-node"));
}

static void run_program(struct serve_fixture *fixture, int log_fd)
{
	char program[512];

	find_program(program, sizeof(program));
	(void)dup2(log_fd, STDERR_FILENO);
	closefrom(STDERR_FILENO + 1); /* whatever the tests' caller had open */
	/* another architecture's program needs its emulator, as tests/run does */
	(void)execl("/bin/sh", "sh", "-c", "exec $HEARTH_EMULATOR \"$0\" \"$@\"", program, "serve",
	    "--dir", fixture->dir, "--model", fixture->model_path, "--listen", "tcp://127.0.0.1:0",
	    "-t", "2", "--budget", fixture->budget != NULL ? fixture->budget : "1G", "--allow-swap",
	    /* an emulator can neither run the program once more nor confine it */
	    getenv("HEARTH_EMULATOR") != NULL ? "--no-supervise" : "--supervise",
	    getenv("HEARTH_EMULATOR") != NULL ? "--no-confine" : "--confine", (char *)NULL);
	_exit(127);
}

/* Wait for the line that says where it listens. */
static void read_address(struct serve_fixture *fixture, FILE *log)
{
	char line[1024];

	while (fgets(line, sizeof(line), log) != NULL) {
		const char *at = strstr(line, "SERVE-READY address=");

		if (at != NULL && sscanf(at, "SERVE-READY address=%95s", fixture->address) == 1)
			return;
	}
	require(false, "the program ended before it was ready");
}

void serve_fixture_spawn(struct serve_fixture *fixture)
{
	struct errmsg why = ERRMSG_INIT;
	char path[96];
	int fds[2];

	(void)snprintf(path, sizeof(path), "%s/key", fixture->dir);
	require_ok(wire_keypair_save(&fixture->keys, path, &why), &why, "key file");
	require(pipe(fds) == 0, "pipe");
	fixture->pid = fork();
	require(fixture->pid >= 0, "fork");
	if (fixture->pid == 0)
		run_program(fixture, fds[1]);
	(void)close(fds[1]);
	fixture->log = fdopen(fds[0], "r");
	require(fixture->log != NULL, "fdopen");
	read_address(fixture, fixture->log);
}

pid_t serve_fixture_worker(const struct serve_fixture *fixture)
{
	char path[96];
	int pid = 0;

	(void)snprintf(
	    path, sizeof(path), "/proc/%d/task/%d/children", (int)fixture->pid, (int)fixture->pid);
	FILE *children = fopen(path, "r");
	require(children != NULL, "a list of children");
	if (fscanf(children, "%d", &pid) != 1)
		pid = (int)fixture->pid; /* it serves by itself */
	(void)fclose(children);
	return (pid_t)pid;
}

int serve_fixture_end(struct serve_fixture *fixture)
{
	char path[96];
	int status = 0;

	(void)kill(fixture->pid, SIGTERM);
	require(waitpid(fixture->pid, &status, 0) == fixture->pid, "waitpid");
	(void)fclose(fixture->log);
	fixture->pid = 0;
	(void)snprintf(path, sizeof(path), "%s/key", fixture->dir);
	(void)unlink(path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void serve_fixture_connect(struct serve_fixture *fixture, int i)
{
	struct serve_link *link = &fixture->links[i];
	struct errmsg why = ERRMSG_INIT;
	struct timespec until;
	const struct wire_client_config config = { .address = fixture->address,
		.server_key = fixture->keys.public_key,
		.keys = &link->keys,
		.program = "data-node test",
		.queue_max = 1024,
		.ctx = link,
		.on_up = on_up,
		.on_message = on_message,
		.on_down = on_down };

	require_ok(wire_client_open(&config, &link->client, &why), &why, "client");
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_S;
	(void)pthread_mutex_lock(&fixture->lock);
	while (!link->up)
		require(
		    pthread_cond_timedwait(&fixture->changed, &fixture->lock, &until) != ETIMEDOUT,
		    "the link does not come up");
	(void)pthread_mutex_unlock(&fixture->lock);
}

void serve_fixture_disconnect(struct serve_fixture *fixture, int i)
{
	wire_client_close(fixture->links[i].client);
	fixture->links[i].client = NULL;
	fixture->links[i].up = false;
}

void serve_fixture_stop(struct serve_fixture *fixture)
{
	for (int i = 0; i < SERVE_FIXTURE_LINKS; i++) {
		if (fixture->links[i].client != NULL)
			serve_fixture_disconnect(fixture, i);
	}
	if (fixture->service != NULL)
		service_close(fixture->service);
	fixture->service = NULL;
}

static void clear(struct serve_answer *answer)
{
	free(answer->prompt_ids);
	free((void *)(uintptr_t)answer->vectors.values);
	free(answer->ids);
	free(answer->text_ends);
	free(answer->times_ns);
	buf_fini(&answer->text);
	*answer = (struct serve_answer){ .request_id = 0 };
}

void serve_fixture_fini(struct serve_fixture *fixture)
{
	serve_fixture_stop(fixture);
	if (fixture->pid != 0)
		(void)serve_fixture_end(fixture);
	for (size_t i = 0; i < SERVE_FIXTURE_ANSWERS_MAX; i++) {
		if (fixture->answers[i].request_id != 0)
			clear(&fixture->answers[i]);
	}
	(void)unlink(fixture->model_path);
	(void)unlink(fixture->allow_path);
	(void)rmdir(fixture->dir);
	(void)pthread_cond_destroy(&fixture->changed);
	(void)pthread_mutex_destroy(&fixture->lock);
}

void serve_fixture_send_as(struct serve_fixture *fixture, int i, const struct message *message)
{
	enum rc rc;

	while ((rc = wire_client_send(fixture->links[i].client, message)) == RC_AGAIN)
		(void)usleep(1000); /* the queue is bounded, the peer reads */
	require_ok(rc, NULL, "send");
}

uint64_t serve_fixture_send(struct serve_fixture *fixture, int i, struct message *message)
{
	message->request_id = wire_client_next_id();
	serve_fixture_send_as(fixture, i, message);
	return message->request_id;
}

static struct serve_answer *wait_for(struct serve_fixture *fixture, uint64_t request_id, size_t n)
{
	struct serve_answer *answer;
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_S;
	(void)pthread_mutex_lock(&fixture->lock);
	for (;;) {
		answer = find(fixture, request_id, false);
		if (answer != NULL && (answer->done || answer->failed || answer->len >= n))
			break;
		require(
		    pthread_cond_timedwait(&fixture->changed, &fixture->lock, &until) != ETIMEDOUT,
		    "an answer does not come");
	}
	(void)pthread_mutex_unlock(&fixture->lock);
	return answer;
}

struct serve_answer *serve_fixture_wait(struct serve_fixture *fixture, uint64_t request_id)
{
	return wait_for(fixture, request_id, SIZE_MAX);
}

struct serve_answer *serve_fixture_wait_tokens(
    struct serve_fixture *fixture, uint64_t request_id, size_t n)
{
	return wait_for(fixture, request_id, n);
}

size_t serve_fixture_tokens(struct serve_fixture *fixture, uint64_t request_id)
{
	(void)pthread_mutex_lock(&fixture->lock);
	const struct serve_answer *answer = find(fixture, request_id, false);
	size_t len = answer == NULL ? 0 : answer->len;
	(void)pthread_mutex_unlock(&fixture->lock);
	return len;
}

void serve_fixture_forget(struct serve_fixture *fixture, uint64_t request_id)
{
	(void)pthread_mutex_lock(&fixture->lock);
	struct serve_answer *answer = find(fixture, request_id, false);
	if (answer != NULL)
		clear(answer);
	(void)pthread_mutex_unlock(&fixture->lock);
}
