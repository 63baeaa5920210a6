/* SPDX-License-Identifier: MIT */
/* lib/master/stack and peers: starts, stops, lost roles, exit codes. */
// needs: base procfile wire master
#include "lib/master/report.h"

#include "stack_fixture.h"

#define EXITED(code) ((code) << 8)

static void open_ready(void)
{
	fix_model();
	fix_open();
	fix_ready();
}

static enum instance_state state_of(int u)
{
	return fix_unit(u)->instances[0].state;
}

/* ---- start -------------------------------------------------------------- */

static void test_start_in_order(void **state)
{
	(void)state;
	fix_model();
	fix_open();
	assert_int_equal(fix_count(DB, W_START), 1);
	assert_int_equal(fix_count(WEB, W_START), 0);
	assert_int_equal(fix_count(JOB, W_START), 0);
	fix_state(DB, STATE_STARTING, 101);
	assert_int_equal(fix_count(WEB, W_START), 0);
	fix_state(DB, STATE_READY, 101);
	fix_state(DB, STATE_READY, 101);
	assert_int_equal(fix_count(DB, W_START), 1);
	assert_int_equal(fix_count(WEB, W_START), 1);
	fix_close();
}

static void test_start_waits_for_watcher(void **state)
{
	(void)state;
	fix_model();
	fix.services[DB].watched = true;
	fix_open();
	assert_int_equal(fix_count(DB, W_START), 0);
	watcher_peer_lost(&fix.stack);
	stack_advance(&fix.stack);
	assert_int_equal(fix_count(DB, W_START), 1);
	fix_close();
}

/* ---- stop --------------------------------------------------------------- */

static void test_stop_in_reverse(void **state)
{
	(void)state;
	open_ready();
	stack_stop(&fix.stack, EXIT_INTERRUPTED, "test");
	stack_stop(&fix.stack, EXIT_FAILED, "the first code counts");
	assert_int_equal(fix_count(WEB, W_QUIT), 1);
	assert_int_equal(fix_count(DB, W_QUIT), 0);
	fix_state(WEB, STATE_STOPPED, 0);
	assert_int_equal(fix_count(DB, W_QUIT), 0);
	fix_bye(WEB);
	assert_int_equal(fix_count(DB, W_QUIT), 1);
	assert_int_equal(fix.watcher_stopped, 0);
	fix_bye(DB);
	assert_true(fix.watcher_stopped > 0);
	assert_int_equal(fix_count(-1, W_QUIT), 2);
	assert_int_equal(fix.stack.exit_code, EXIT_INTERRUPTED);
	fix_close();
}

static void test_stop_while_worker_is_replaced(void **state)
{
	(void)state;
	open_ready();
	fix_kill_worker(DB);
	stack_stop(&fix.stack, EXIT_DONE, "test");
	assert_int_equal(fix_count(DB, W_QUIT), 0);
	assert_int_equal(fix_count(WEB, W_QUIT), 1);
	assert_int_equal(fix.watcher_stopped, 0);
	fix_bye(WEB);
	assert_true(fix.watcher_stopped > 0);
	fix_close();
}

/* The worker dies between our decision and the write. */
static void test_stop_cannot_be_said(void **state)
{
	(void)state;
	open_ready();
	fix.send_fails = true;
	stack_stop(&fix.stack, EXIT_DONE, "test");
	assert_true(fix_unit(DB)->gone);
	assert_true(fix_unit(WEB)->gone);
	assert_true(fix.watcher_stopped > 0);
	fix_close();
}

static void test_stop_during_start(void **state)
{
	(void)state;
	fix_model();
	fix_open();
	fix_state(DB, STATE_BUILDING, 0);
	stack_stop(&fix.stack, EXIT_DONE, "test");
	assert_int_equal(fix_count(WEB, W_QUIT), 1);
	fix_bye(WEB);
	assert_int_equal(fix_count(DB, W_QUIT), 1);
	/* What it still says starts nothing. */
	fix_state(DB, STATE_READY, 101);
	assert_int_equal(fix_count(WEB, W_START), 0);
	fix_bye(DB);
	fix_close();
}

/* ---- the end of services ------------------------------------------------ */

struct end_row {
	enum on_exit on_exit;
	enum instance_state db, job;
	int db_status;
	bool watched;
	bool ends;
	int code;
};

/* db and job (a oneshot) are the whole stack. */
static const struct end_row end_rows[] = {
	{ ON_EXIT_KEEP, STATE_READY, STATE_DONE, 0, false, false, 0 },
	{ ON_EXIT_KEEP, STATE_BACKOFF, STATE_DONE, 0, false, false, 0 },
	{ ON_EXIT_KEEP, STATE_DONE, STATE_DONE, 0, false, true, EXIT_DONE },
	{ ON_EXIT_KEEP, STATE_FAILED, STATE_DONE, EXITED(3), false, true,
	  EXIT_FAILED },
	{ ON_EXIT_KEEP, STATE_FAILED, STATE_DONE, EXITED(3), true, false, 0 },
	{ ON_EXIT_STOP, STATE_READY, STATE_DONE, 0, false, false, 0 },
	{ ON_EXIT_STOP, STATE_DONE, STATE_READY, 0, false, true, EXIT_DONE },
	{ ON_EXIT_STOP, STATE_FAILED, STATE_READY, EXITED(3), false, true, 3 },
	{ ON_EXIT_STOP, STATE_FAILED, STATE_READY, 11, false, true, 139 },
	{ ON_EXIT_STOP, STATE_FAILED, STATE_READY, 11 | 128, false, true, 139 },
	{ ON_EXIT_STOP, STATE_FAILED, STATE_READY, 0, false, true,
	  EXIT_FAILED },
};

static void test_end_of_services(void **state)
{
	const struct end_row *r;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(end_rows); i++) {
		r = &end_rows[i];
		fix_model();
		fix.services[WEB].enabled = false;
		fix.services[JOB].enabled = true;
		fix.services[DB].watched = r->watched;
		fix.model.on_exit = r->on_exit;
		fix_open();
		if (r->watched)
			watcher_peer_lost(&fix.stack);
		stack_advance(&fix.stack);
		fix_state(JOB, r->job, r->job == STATE_READY ? 103 : 0);
		fix_state(DB, STATE_READY, 101);
		if (r->db != STATE_READY) {
			fix_exited(DB, r->db_status);
			fix_state(DB, r->db, 0);
		}
		if (fix.stack.stopping != r->ends ||
		    (r->ends && fix.stack.exit_code != r->code))
			fail_msg("row %zu: stopping %d, code %d", i,
				 fix.stack.stopping, fix.stack.exit_code);
		fix_close();
	}
}

/* The status of a generation that was replaced is not that of the next. */
static void test_code_of_old_generation(void **state)
{
	(void)state;
	fix_model();
	fix.model.on_exit = ON_EXIT_STOP;
	fix_open();
	fix_ready();
	fix_state(DB, STATE_DRAINING, 101);
	fix_exited(DB, 2); /* our SIGINT */
	fix_state(DB, STATE_STARTING, 0);
	fix_state(DB, STATE_FAILED, 0); /* its port never came free */
	assert_true(fix.stack.stopping);
	assert_int_equal(fix.stack.exit_code, EXIT_FAILED);
	fix_close();
}

/* ---- a worker dies ------------------------------------------------------ */

static void test_worker_replaced(void **state)
{
	(void)state;
	open_ready();
	fix_unit(WEB)->instances[0].stopping_pid = 102;
	fix_kill_worker(WEB);
	assert_int_equal(state_of(WEB), STATE_WAITING);
	assert_int_equal(fix_unit(WEB)->instances[0].pid, 0);
	assert_int_equal(fix_unit(WEB)->instances[0].stopping_pid, 0);
	assert_int_equal(state_of(DB), STATE_READY);
	fix.sent.n = 0;
	fix_new_worker();
	assert_int_equal(fix_count(WEB, W_START), 1);
	assert_int_equal(fix_count(DB, W_START), 0);
	fix_close();
}

/* Nobody wants it up: it is down, not on its way. */
static void test_worker_of_stopped(void **state)
{
	int fd;

	(void)state;
	open_ready();
	fd = fix_ask("{\"do\":\"stop\",\"services\":[\"web\"]}");
	fix_state(WEB, STATE_STOPPED, 0);
	fix_all_done(WEB, W_STOP);
	assert_int_equal(fix_answer(fd), 1);
	close(fd);
	fix.sent.n = 0;
	fix_kill_worker(WEB);
	fix_new_worker();
	assert_int_equal(fix_count(WEB, W_START), 0);
	assert_int_equal(state_of(WEB), STATE_STOPPED);
	fix_close();
}

/* A oneshot that is done is not run again because a worker died. */
static void test_worker_of_done(void **state)
{
	(void)state;
	fix_model();
	fix.services[JOB].enabled = true;
	fix_open();
	fix_ready();
	fix_state(JOB, STATE_READY, 103);
	fix_exited(JOB, 0);
	fix_state(JOB, STATE_DONE, 0);
	fix.sent.n = 0;
	fix_kill_worker(JOB);
	assert_int_equal(state_of(JOB), STATE_DONE);
	fix_new_worker();
	assert_int_equal(fix_count(JOB, W_START), 0);
	assert_int_equal(state_of(JOB), STATE_DONE);
	fix_kill_worker(JOB);
	fix_new_worker();
	assert_int_equal(fix_count(JOB, W_START), 0);
	assert_int_equal(state_of(JOB), STATE_DONE);
	fix_close();
}

/* ---- changes ------------------------------------------------------------ */

static void watcher_says(uint32_t type, int u)
{
	struct buf b;

	buf_init(&b, 64);
	put_u32(&b, (uint32_t)u);
	watcher_peer_message(&fix.stack, type, b.data, b.len, -1);
	buf_done(&b);
}

static void watcher_changed(int u, enum action action, const char *path)
{
	const char *const paths[] = { path, NULL };
	struct buf b;

	buf_init(&b, 4096);
	put_u32(&b, (uint32_t)u);
	put_u32(&b, action);
	put_str(&b, "");
	put_i64(&b, 1);
	put_i64(&b, 2);
	put_i64(&b, 3);
	put_u32(&b, 1);
	put_strv(&b, paths);
	watcher_peer_message(&fix.stack, V_CHANGED, b.data, b.len, -1);
	buf_done(&b);
}

/* Each W_TOUCHED is followed by W_CALM or W_CHANGED. */
static void assert_settled(int u)
{
	assert_int_equal(fix_count(u, W_TOUCHED), 1);
	assert_int_equal(fix_count(u, W_CALM) + fix_count(u, W_CHANGED), 1);
}

static void test_change(void **state)
{
	(void)state;
	open_ready();
	watcher_says(V_TOUCHED, WEB);
	watcher_says(V_CALM, WEB);
	assert_settled(WEB);
	fix.sent.n = 0;
	watcher_says(V_TOUCHED, WEB);
	watcher_changed(WEB, ACTION_RELOAD, "\xe6\x97\xa5.c");
	assert_settled(WEB);
	assert_int_equal(fix_count(WEB, W_CHANGED), 1);
	fix.sent.n = 0;
	watcher_says(V_TOUCHED, WEB);
	watcher_changed(WEB, ACTION_NOTHING, "a.html");
	assert_settled(WEB);
	assert_int_equal(fix_count(WEB, W_CALM), 1);
	watcher_says(V_TOUCHED, 77);
	fix_close();
}

/* A oneshot that is done, its worker replaced since: a change that calls for
 * it runs it again, one that calls for nothing does not. */
static void test_change_of_done(void **state)
{
	(void)state;
	fix_model();
	fix.services[JOB].enabled = true;
	fix_open();
	fix_ready();
	fix_state(JOB, STATE_DONE, 0);
	fix_kill_worker(JOB);
	fix_new_worker();
	fix.sent.n = 0;
	watcher_says(V_TOUCHED, JOB);
	watcher_changed(JOB, ACTION_NOTHING, "a.html");
	assert_settled(JOB);
	assert_int_equal(fix_count(JOB, W_START), 0);
	watcher_says(V_TOUCHED, JOB);
	watcher_changed(JOB, ACTION_RELOAD, "a.c");
	assert_true(fix_count(JOB, W_START) + fix_count(JOB, W_CHANGED) > 0);
	fix_close();
}

static void test_watcher_dies_in_quiet_time(void **state)
{
	(void)state;
	open_ready();
	watcher_says(V_TOUCHED, WEB);
	watcher_peer_lost(&fix.stack);
	assert_settled(WEB);
	fix_close();
}

/* Stopped in the quiet time: the worker hears how it ended all the same. */
static void test_stopped_in_quiet_time(void **state)
{
	int fd, how;

	(void)state;
	for (how = 0; how < 2; how++) {
		open_ready();
		watcher_says(V_TOUCHED, WEB);
		fd = fix_ask("{\"do\":\"stop\",\"services\":[\"web\"]}");
		if (how == 0)
			watcher_says(V_CALM, WEB);
		else
			watcher_changed(WEB, ACTION_RELOAD, "a.c");
		assert_settled(WEB);
		close(fd);
		fix_close();
	}
}

/* ---- words -------------------------------------------------------------- */

/* Only what is no UTF-8 is replaced; a text cut in a character too. */
static void test_text(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "\xe6\x97\xa5\xff", "\xe6\x97\xa5?" },
		{ "\xe6\x97\xa5\xe6\x9c", "\xe6\x97\xa5??" },
	};
	json_t *o;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		o = report_text(rows[i].in);
		assert_string_equal(json_string_value(o), rows[i].out);
		json_decref(o);
	}
}

/* The name of a directory may be any bytes. */
static void test_ps_of_odd_name(void **state)
{
	json_t *o;

	(void)state;
	fix_model();
	fix.model.stack = "caf\xe9";
	fix_open();
	o = report_ps(&fix.stack);
	assert_string_equal(json_string_value(json_object_get(o, "stack")),
			    "caf?");
	json_decref(o);
	fix_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_in_order),
		cmocka_unit_test(test_start_waits_for_watcher),
		cmocka_unit_test(test_stop_in_reverse),
		cmocka_unit_test(test_stop_while_worker_is_replaced),
		cmocka_unit_test(test_stop_cannot_be_said),
		cmocka_unit_test(test_stop_during_start),
		cmocka_unit_test(test_end_of_services),
		cmocka_unit_test(test_code_of_old_generation),
		cmocka_unit_test(test_worker_replaced),
		cmocka_unit_test(test_worker_of_stopped),
		cmocka_unit_test(test_worker_of_done),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_change_of_done),
		cmocka_unit_test(test_watcher_dies_in_quiet_time),
		cmocka_unit_test(test_stopped_in_quiet_time),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_ps_of_odd_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
