/* SPDX-License-Identifier: MIT */
/* lib/master/order: who may start, who may stop, by `after`. */
// needs: base procfile wire master
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lib/master/order.h"
#include "lib/master/stack.h"

/* order.c needs this one function of stack.c, which needs the whole master. */
struct unit *stack_find(struct stack *st, const char *name)
{
	size_t i;

	for (i = 0; i < st->n_units; i++)
		if (str_eq(st->units[i].s->name, name))
			return &st->units[i];
	return NULL;
}

static const struct after web_after[] = { { "db", AFTER_READY, { 0 } },
					  { "migrate", AFTER_DONE, { 0 } } };
static const struct after migrate_after[] = { { "db", AFTER_STARTED, { 0 } } };

/* db <- migrate:done <- web, and web also after db. */
struct fixture {
	struct service services[3];
	struct unit units[3];
	struct instance instances[4];
	struct stack stack;
};

enum { DB, MIGRATE, WEB };

static void set_up(struct fixture *f)
{
	static const char *const names[] = { "db", "migrate", "web" };
	size_t i;

	memset(f, 0, sizeof(*f));
	for (i = 0; i < 3; i++) {
		f->services[i].name = names[i];
		f->units[i].stack = &f->stack;
		f->units[i].s = &f->services[i];
		f->units[i].instances = &f->instances[i];
		f->units[i].n_instances = 1;
	}
	f->services[MIGRATE].after = migrate_after;
	f->services[MIGRATE].n_after = 1;
	f->services[WEB].after = web_after;
	f->services[WEB].n_after = 2;
	f->stack.units = f->units;
	f->stack.n_units = 3;
}

static bool may_start(struct fixture *f, int unit)
{
	return order_may_start(&f->stack, &f->units[unit], NULL, 0);
}

static void test_start(void **state)
{
	struct fixture f;
	char why[100];

	(void)state;
	set_up(&f);
	assert_true(may_start(&f, DB));
	assert_false(may_start(&f, MIGRATE));
	f.instances[DB].state = STATE_STARTING;
	f.instances[DB].pid = 7;
	assert_true(may_start(&f, MIGRATE));
	assert_false(
		order_may_start(&f.stack, &f.units[WEB], why, sizeof(why)));
	assert_string_equal(why, "waits for db:ready (starting)");
	f.instances[DB].state = STATE_READY;
	assert_false(
		order_may_start(&f.stack, &f.units[WEB], why, sizeof(why)));
	assert_string_equal(why, "waits for migrate:done (waiting)");
	f.instances[MIGRATE].state = STATE_READY;
	assert_false(may_start(&f, WEB));
	f.instances[MIGRATE].state = STATE_FAILED;
	assert_false(may_start(&f, WEB));
	f.instances[MIGRATE].state = STATE_DONE;
	assert_true(may_start(&f, WEB));
}

/* All instances have to be there. */
static void test_instances(void **state)
{
	struct fixture f;
	struct instance two[2] = { { .state = STATE_READY },
				   { .state = STATE_STARTING } };

	(void)state;
	set_up(&f);
	f.instances[MIGRATE].state = STATE_DONE;
	f.units[DB].instances = two;
	f.units[DB].n_instances = 2;
	assert_false(may_start(&f, WEB));
	two[1].state = STATE_READY;
	assert_true(may_start(&f, WEB));
}

static void test_stop(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_false(order_may_stop(&f.stack, &f.units[DB]));
	assert_false(order_may_stop(&f.stack, &f.units[MIGRATE]));
	assert_true(order_may_stop(&f.stack, &f.units[WEB]));
	f.units[WEB].gone = true;
	assert_true(order_may_stop(&f.stack, &f.units[MIGRATE]));
	assert_false(order_may_stop(&f.stack, &f.units[DB]));
	f.units[MIGRATE].gone = true;
	assert_true(order_may_stop(&f.stack, &f.units[DB]));
}

static void test_want(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	order_want(&f.stack, &f.units[MIGRATE]);
	assert_true(f.units[DB].wanted);
	assert_true(f.units[MIGRATE].wanted);
	assert_false(f.units[WEB].wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_instances),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_want),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
