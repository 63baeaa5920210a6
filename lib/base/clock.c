/* SPDX-License-Identifier: MIT */
/* The two clocks, and times as people and programs read them. */
#include "lib/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_real_us(void)
{
	return read_us(CLOCK_REALTIME);
}

void clock_rfc3339(int64_t real_us, char *buffer, size_t size)
{
	time_t seconds = (time_t)(real_us / 1000000);
	char date[24], zone[8];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(buffer, size, "%s.%03d%.3s:%s", date,
		 (int)(real_us / 1000 % 1000), zone, zone + 3);
}

void clock_hms(int64_t real_us, char *buffer, size_t size)
{
	time_t seconds = (time_t)(real_us / 1000000);
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(buffer, size, "%H:%M:%S", &tm);
}

void clock_span(int64_t us, char *buffer, size_t size)
{
	int64_t ms = us / 1000, s = ms / 1000;

	if (ms < 1000)
		snprintf(buffer, size, "%" PRId64 " ms", ms);
	else if (s < 60)
		snprintf(buffer, size, "%.1f s", (double)ms / 1000);
	else if (s < 3600)
		snprintf(buffer, size, "%" PRId64 " min %" PRId64 " s", s / 60,
			 s % 60);
	else
		snprintf(buffer, size, "%" PRId64 " h %" PRId64 " min",
			 s / 3600, s / 60 % 60);
}
