/* GET /v1/models: what there is, each once, and one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static struct fake_script short_script(void)
{
	struct fake_script script = fake_script_default();

	script.tokens = 2;
	return script;
}

static void test_models_lists_hearth_and_what_nodes_that_are_up_serve_once(void **state)
{
	(void)state;
	struct fake_script scripts[3] = { short_script(), short_script(), short_script() };
	struct world world;
	scripts[1].model = "other";
	world_open(&world, scripts, 3);
	api_response_init(&world.response);
	answer_models(&world.host, &world.request_arena, &world.response);
	assert_string_equal(buf_text(&world.response.body),
	    "{\"object\":\"list\",\"data\":["
	    "{\"id\":\"hearth\",\"object\":\"model\",\"created\":1763683200,"
	    "\"owned_by\":\"hearth\"},"
	    "{\"id\":\"tiny\",\"object\":\"model\",\"created\":1763683200,"
	    "\"owned_by\":\"compute-node\"},"
	    "{\"id\":\"other\",\"object\":\"model\",\"created\":1763683200,"
	    "\"owned_by\":\"compute-node\"}]}\n");
	world_close(&world);
}

static void test_one_model_is_told_by_its_id(void **state)
{
	(void)state;
	struct fake_script script = short_script();
	struct world world;
	world_open(&world, &script, 1);
	api_response_init(&world.response);
	answer_model(&world.host, "tiny", &world.request_arena, &world.response);
	assert_string_equal(buf_text(&world.response.body),
	    "{\"id\":\"tiny\",\"object\":\"model\",\"created\":1763683200,"
	    "\"owned_by\":\"compute-node\"}\n");
	answer_model(&world.host, "another", &world.request_arena, &world.response);
	assert_int_equal(world.response.status, 404);
	assert_non_null(strstr(buf_text(&world.response.body), "\"code\":\"model_not_found\""));
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_models_lists_hearth_and_what_nodes_that_are_up_serve_once),
		cmocka_unit_test(test_one_model_is_told_by_its_id),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
