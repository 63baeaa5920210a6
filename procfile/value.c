/* SPDX-License-Identifier: MIT */
/* Durations, sizes, regular expressions: text of hr.conf to values and back. */
#include "procfile/value.h"

#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first, so that the first that divides is the shortest text. */
static const struct unit times[] = {
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

static const struct unit sizes[] = {
	{ "GiB", INT64_C(1) << 30 },
	{ "GB", 1000000000 },
	{ "MiB", 1 << 20 },
	{ "MB", 1000000 },
	{ "KiB", 1 << 10 },
	{ "kB", 1000 },
	{ "KB", 1000 },
	{ "B", 1 },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The longest unit that s begins with, up to the next digit or the end. */
static const struct unit *find_unit(const struct unit *units, size_t n,
				    const char *s, size_t *len)
{
	size_t i;

	*len = strcspn(s, "0123456789");
	for (i = 0; i < n; i++)
		if (strlen(units[i].name) == *len &&
		    memcmp(units[i].name, s, *len) == 0)
			return &units[i];
	return NULL;
}

/* "1.25" at *s, times the unit that follows; *s moves behind both. */
static enum value_result read_part(const char **s, const struct unit *units,
				   size_t n, int64_t max, int64_t *out)
{
	int64_t whole = 0, fraction = 0, scale = 1;
	const struct unit *u;
	size_t len;

	if (!is_digit(**s))
		return VALUE_MALFORMED;
	for (; is_digit(**s); ++*s) {
		whole = whole * 10 + (**s - '0');
		if (whole > max)
			return VALUE_TOO_LARGE;
	}
	if (**s == '.') {
		for (++*s; is_digit(**s) && scale <= 100000; ++*s) {
			fraction = fraction * 10 + (**s - '0');
			scale *= 10;
		}
		if (scale == 1)
			return VALUE_MALFORMED;
	}
	if (**s == '\0')
		return VALUE_NO_UNIT;
	u = find_unit(units, n, *s, &len);
	if (u == NULL)
		return VALUE_MALFORMED;
	if (fraction * u->factor % scale != 0)
		return VALUE_TOO_FINE;
	if (whole > max / u->factor)
		return VALUE_TOO_LARGE;
	*out = whole * u->factor + fraction * u->factor / scale;
	*s += len;
	return VALUE_OK;
}

enum value_result value_duration(const char *s, int64_t *ms)
{
	int64_t total = 0, part = 0;
	enum value_result rc;

	do {
		rc = read_part(&s, times, NITEMS(times), DURATION_MAX_MS,
			       &part);
		if (rc != VALUE_OK)
			return rc == VALUE_NO_UNIT && total > 0 ?
				       VALUE_MALFORMED :
				       rc;
		total += part;
		if (total > DURATION_MAX_MS)
			return VALUE_TOO_LARGE;
	} while (*s != '\0');
	*ms = total;
	return VALUE_OK;
}

enum value_result value_size(const char *s, int64_t *bytes)
{
	int64_t total = 0;
	enum value_result rc =
		read_part(&s, sizes, NITEMS(sizes), SIZE_MAX_BYTES, &total);

	if (rc == VALUE_OK && *s != '\0')
		return VALUE_MALFORMED;
	if (rc == VALUE_OK)
		*bytes = total;
	return rc;
}

static const char *text_of(int64_t value, const struct unit *units, size_t n,
			   char *buffer, size_t size)
{
	size_t i;

	for (i = 0; i < n - 1; i++)
		if (value != 0 && value % units[i].factor == 0)
			break;
	snprintf(buffer, size, "%lld%s", (long long)(value / units[i].factor),
		 units[i].name);
	return buffer;
}

const char *value_duration_text(int64_t ms, char *buffer, size_t size)
{
	if (ms == 0) {
		snprintf(buffer, size, "0s");
		return buffer;
	}
	return text_of(ms, times, NITEMS(times), buffer, size);
}

const char *value_size_text(int64_t bytes, char *buffer, size_t size)
{
	return text_of(bytes, sizes, NITEMS(sizes), buffer, size);
}

int value_regex(const char *s, char *message, size_t size, size_t *offset)
{
	int code;
	PCRE2_SIZE at;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)s, PCRE2_ZERO_TERMINATED,
				       PCRE2_UTF, &code, &at, NULL);

	if (re != NULL) {
		pcre2_code_free(re);
		return 0;
	}
	if (pcre2_get_error_message(code, (PCRE2_UCHAR *)message, size) < 0)
		snprintf(message, size, "error %d", code);
	*offset = at;
	return -1;
}
