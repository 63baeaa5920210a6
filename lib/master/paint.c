/* SPDX-License-Identifier: MIT */
/* The prefix of a log line: time, padded name, colour. */
#include "lib/master/paint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"

/* Readable on dark and light grounds; red is left for what went wrong. */
static const char *const colours[] = {
	"\033[36m", "\033[33m", "\033[32m", "\033[35m", "\033[34m",
	"\033[96m", "\033[93m", "\033[92m", "\033[95m", "\033[94m",
};
static const char hr_colour[] = "\033[1m";

void paint_widen(struct paint *p, const char *label)
{
	size_t len = strlen(label);

	if (len > p->width)
		p->width = len;
}

static void put_time(struct paint *p, struct buf *out, int64_t at_real_us)
{
	int64_t unit = p->time == PAINT_TIME_MS ? 1000 : 1000000;

	if (p->time == PAINT_TIME_NONE)
		return;
	/* localtime() costs more than all the rest: once a second. */
	if (p->cached[0] == '\0' || p->cached_at != at_real_us / unit) {
		p->cached_at = at_real_us / unit;
		clock_hms(at_real_us, p->cached, sizeof(p->cached));
		if (p->time == PAINT_TIME_MS)
			snprintf(p->cached + 8, sizeof(p->cached) - 8, ".%03d",
				 (int)(at_real_us / 1000 % 1000));
	}
	buf_add_str(out, p->cached);
	buf_add_char(out, ' ');
}

void paint_prefix(struct paint *p, struct buf *out, int64_t at_real_us,
		  const char *label, size_t number)
{
	static const char spaces[] = "                ";
	size_t len = strlen(label), pad, n;

	if (p->colour)
		buf_add_str(out, number == PAINT_HR ?
					 hr_colour :
					 colours[number % NITEMS(colours)]);
	put_time(p, out, at_real_us);
	buf_add(out, label, len);
	for (pad = p->width > len ? p->width - len : 0; pad > 0; pad -= n) {
		n = pad < sizeof(spaces) - 1 ? pad : sizeof(spaces) - 1;
		buf_add(out, spaces, n);
	}
	buf_add_str(out, " |");
	if (p->colour)
		buf_add_str(out, PAINT_RESET);
	buf_add_char(out, ' ');
}

char *paint_count(uint64_t n, char *buffer, size_t size)
{
	char digits[24];
	size_t len, i, at = 0;

	snprintf(digits, sizeof(digits), "%" PRIu64, n);
	len = strlen(digits);
	for (i = 0; i < len && at + 2 < size; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buffer[at++] = ',';
		buffer[at++] = digits[i];
	}
	buffer[at] = '\0';
	return buffer;
}
