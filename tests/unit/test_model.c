/* SPDX-License-Identifier: MIT */
/* procfile/model: looking things up, names of values. */
// needs: base procfile
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "procfile/model.h"

static void test_find(void **state)
{
	struct service v[] = { { .name = "web" }, { .name = "db" } };
	struct model m = { .services = v, .n_services = 2 };

	(void)state;
	assert_ptr_equal(model_find(&m, "db"), &v[1]);
	assert_null(model_find(&m, "d"));
	assert_null(model_find(&m, ""));
	model_free(NULL);
}

static void test_service(void **state)
{
	struct key_set keys[] = { { "tty", { "hr.conf", 3, 1 } },
				  { "watch.poll", { "hr.conf", 4, 1 } } };
	struct service s = { .keys = keys, .n_keys = 2, .base_port = 5100 };

	(void)state;
	assert_int_equal(service_port(&s, 1), 5100);
	assert_int_equal(service_port(&s, 3), 5102);
	assert_int_equal(service_key(&s, "watch.poll")->line, 4);
	assert_null(service_key(&s, "poll"));
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(action_name(ACTION_NOTHING), "nothing");
	assert_string_equal(action_name(ACTION_REFRESH), "refresh");
	assert_string_equal(action_name(ACTION_RUN), "run");
	assert_string_equal(action_name(ACTION_SIGNAL), "signal");
	assert_string_equal(action_name(ACTION_RESTART), "restart");
	assert_string_equal(action_name(ACTION_RELOAD), "reload");
	assert_string_equal(restart_policy_name(RESTART_ON_FAILURE),
			    "on-failure");
	assert_string_equal(restart_policy_name(RESTART_ALWAYS), "always");
	assert_string_equal(restart_policy_name(RESTART_NEVER), "never");
	assert_string_equal(after_condition_name(AFTER_READY), "ready");
	assert_string_equal(after_condition_name(AFTER_STARTED), "started");
	assert_string_equal(after_condition_name(AFTER_DONE), "done");
	assert_string_equal(port_mode_name(PORT_DEFAULT), "auto");
	assert_string_equal(port_mode_name(PORT_REUSEPORT), "reuseport");
	assert_string_equal(port_mode_name(PORT_WAIT), "wait");
	assert_string_equal(handoff_name(HANDOFF_DEFAULT), "auto");
	assert_string_equal(handoff_name(HANDOFF_OVERLAP), "overlap");
	assert_string_equal(handoff_name(HANDOFF_EXCLUSIVE), "exclusive");
	assert_string_equal(probe_kind_name(PROBE_DEFAULT), "auto");
	assert_string_equal(probe_kind_name(PROBE_HTTP), "http");
	assert_string_equal(probe_kind_name(PROBE_LISTEN), "listen");
	assert_string_equal(restart_policy_name((enum restart_policy)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
