# SPDX-License-Identifier: MIT
#
# hr: build, test, install.  GNU make.
#
#   make                  $(OUT)/hr, optimised and hardened; OUT is build
#   make asan, make cov   the same under build/asan, build/cov
#   make test             needs, build, unit tests, end to end tests
#   make unit, make e2e   one kind; TESTS="test_buf test_str" chooses unit
#                         tests, PYTEST_ARGS="-k reload" is for pytest
#   make style            formatting, layers, banned calls
#   make demo             an example stack, built and started
#   make bench            measurements
#   make install          PREFIX, DESTDIR
#
# OUT chooses the build: an OUT that ends in asan or cov (build/asan,
# build/asan-clang) is built that way by any target.  One line in a unit test
# chooses how it is linked:
#
#   // needs: base procfile         only these archives (default: all)
#   // link: -Wl,--wrap=malloc      further options for the linker

ifeq ($(MAKELEVEL),0)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
MAKEFLAGS += -j$(JOBS)
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

OUT ?= build
MODE ?= $(or $(firstword $(filter asan cov,$(subst -, ,$(notdir $(OUT))))),release)
PREFIX ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin AR),default)
AR := ar
endif
PKG_CONFIG ?= pkg-config
VERSION := $(shell cat VERSION)

# ---- layers: lowest first; each folder is one archive -----------------------

LAYERS := lib/base procfile lib/wire lib/watch lib/proc lib/handoff \
	lib/master lib/web lib/worker lib/keeper lib/watcher cmd

# The archive of cmd lacks main.c, so that tests can link the verbs.
sources = $(filter-out cmd/main.c,$(wildcard $1/*.c))
archive = $(OUT)/lib/$(subst /,-,$1).a
objects = $(patsubst %.c,$(OUT)/obj/%.o,$1)

FILLED := $(foreach d,$(LAYERS),$(if $(call sources,$d),$d))
ARCHIVES := $(foreach d,$(FILLED),$(call archive,$d))
SOURCES := $(wildcard $(addsuffix /*.c,$(LAYERS)))
CMD_OBJECTS := $(call objects,$(wildcard cmd/*.c))

# ---- flags ------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wcast-qual \
	-Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wformat=2 \
	-Wundef -Wvla -Wswitch-enum
ifneq ($(MODE),asan)
# gcc takes the checks of the sanitizers for null dereferences.
WARN += -Wnull-dereference
endif
ifeq ($(WERROR),1)
WARN += -Werror
endif

# An option that the compiler may not know (another processor, another cc).
try = $(shell $(CC) -Werror $1 -c -x c /dev/null -o /dev/null 2>/dev/null \
	&& echo '$1')

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
ifeq ($(MODE),asan)
CFLAGS ?= -O1 -g
HARDEN := -U_FORTIFY_SOURCE -fno-omit-frame-pointer $(SANITIZE)
HARDEN_LINK := $(SANITIZE)
else ifeq ($(MODE),cov)
CFLAGS ?= -O0 -g
HARDEN := -U_FORTIFY_SOURCE --coverage
HARDEN_LINK := --coverage
else
CFLAGS ?= -O2 -g
HARDEN := -fstack-protector-strong -fPIE $(call try,-fcf-protection)
# Without an optimiser the C library would only warn about it.
ifeq ($(filter -O0,$(CFLAGS)),)
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
HARDEN_LINK := -pie -Wl,-z,relro,-z,now
endif

# name.pc and the bare name of each library; libev often has no .pc file.
LIBRARIES := libev:ev libconfuse:confuse libxxhash:xxhash \
	libpcre2-8:pcre2-8 jansson:jansson
pc = $(or $(shell $(PKG_CONFIG) --cflags --libs $1 2>/dev/null),-l$2)
LIB_FLAGS := $(foreach l,$(LIBRARIES),$(call \
	pc,$(firstword $(subst :, ,$l)),$(lastword $(subst :, ,$l))))
CMOCKA_FLAGS := $(call pc,cmocka,cmocka)
# Foreign headers are system headers: our warnings are not for them.
headers = $(patsubst -I%,-isystem%,$(filter -I% -D%,$1))
linked = $(filter-out -I% -D%,$1)

HR_CPPFLAGS := -I. -D_GNU_SOURCE -DHR_VERSION='"$(VERSION)"' \
	$(call headers,$(LIB_FLAGS))
HR_CFLAGS := -std=c17 $(WARN) -fno-strict-aliasing $(HARDEN)
HR_LIBS := -Wl,--as-needed $(call linked,$(LIB_FLAGS)) -lm
$(OUT)/obj/tests/%.o: HR_CPPFLAGS += $(call headers,$(CMOCKA_FLAGS))

COMPILE = $(CC) $(HR_CPPFLAGS) $(CPPFLAGS) $(HR_CFLAGS) $(CFLAGS)
LINK = $(CC) $(HR_CFLAGS) $(CFLAGS) $(HARDEN_LINK) $(LDFLAGS)

# V=1 shows whole command lines.
ifeq ($(V),1)
say = @:
Q :=
else
say = @printf '  %-5s %s\n'
Q := @
endif

# ---- hr ---------------------------------------------------------------------

.PHONY: all lib
all: $(OUT)/hr
lib: $(ARCHIVES)

$(OUT)/hr: $(CMD_OBJECTS) $(filter-out %/cmd.a,$(ARCHIVES)) $(OUT)/files
	$(say) LINK $@
	$(Q)$(LINK) -o $@ $(CMD_OBJECTS) -Wl,--start-group \
		$(filter %.a,$^) -Wl,--end-group $(HR_LIBS) $(LDLIBS)

$(OUT)/obj/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

define archive_rule
$(call archive,$1): $(call objects,$(call sources,$1)) $$(OUT)/files
	@mkdir -p $$(@D)
	$$(say) AR $$@
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach d,$(FILLED),$(eval $(call archive_rule,$d)))

# Stamps, rewritten only when their text changes: other flags rebuild
# everything, a source file that comes or goes relinks.
stamp = @mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$1)' >$@.$$$$; \
	if cmp -s $@.$$$$ $@; then rm -f $@.$$$$; else mv $@.$$$$ $@; fi
.PHONY: FORCE
$(OUT)/flags: FORCE
	$(call stamp,$(COMPILE) $(LINK) $(HR_LIBS) $(LDLIBS))
$(OUT)/files: FORCE
	$(call stamp,$(SOURCES))

# ---- tests, actor, benches --------------------------------------------------

UNIT := $(wildcard tests/unit/test_*.c tests/unit/*/test_*.c)
UNIT_HELPERS := $(filter-out $(UNIT),$(wildcard tests/unit/*.c))
ACTOR_SOURCES := $(wildcard tests/actor/*.c)
BENCH := $(wildcard bench/*.c)

UNIT_NAMES := $(basename $(notdir $(UNIT)))
ifneq ($(words $(UNIT_NAMES)),$(words $(sort $(UNIT_NAMES))))
$(error two unit tests have the same file name: $(UNIT))
endif

# The needs: and link: lines, as assignments: needs_test_x+=base
$(foreach w,$(shell awk '/^(\/\/|\/\*| \*) (needs|link): /{ \
	sub(/\*\/ *$$/, ""); n = FILENAME; sub(/.*\//, "", n); \
	sub(/\.c$$/, "", n); k = $$2; sub(/:/, "", k); \
	for (i = 3; i <= NF; i++) print k "_" n "+=" $$i }' \
	/dev/null $(UNIT) $(ACTOR_SOURCES) $(BENCH)),$(eval $w))

# needs: base, lib/base and procfile are all ways to name a layer.
layer_of = $(or $(filter $1 lib/$1,$(LAYERS)),$(error \
	$2: "needs: $1" names no layer))
# $1 = program, $2 = archives when it does not say
archives_of = $(if $(needs_$1),$(foreach n,$(needs_$1),$(foreach \
	d,$(call layer_of,$n,$1),$(if $(filter $d,$(FILLED)),$(call \
	archive,$d)))),$2)

# $1 = program file, $2 = its sources, $3 = archives, $4 = link options
define program_rule
$1: $(call objects,$2) $3 $(OUT)/files
	@mkdir -p $$(@D)
	$$(say) LINK $$@
	$$(Q)$$(LINK) -o $$@ $$(filter %.o,$$^) -Wl,--start-group \
		$$(filter %.a,$$^) -Wl,--end-group $4 $$(HR_LIBS) $$(LDLIBS)
endef
$(foreach t,$(UNIT),$(eval $(call program_rule,$(OUT)/tests/$(basename \
	$(notdir $t)),$t $(UNIT_HELPERS),$(call archives_of,$(basename \
	$(notdir $t)),$(ARCHIVES)),$(link_$(basename $(notdir $t))) \
	$(call linked,$(CMOCKA_FLAGS)))))
$(foreach b,$(BENCH),$(eval $(call program_rule,$(OUT)/bench/$(basename \
	$(notdir $b)),$b,$(call archives_of,$(basename $(notdir \
	$b)),$(ARCHIVES)),$(link_$(basename $(notdir $b))))))
ifneq ($(ACTOR_SOURCES),)
ACTOR := $(OUT)/tests/actor
ACTOR_NAMES := $(basename $(notdir $(ACTOR_SOURCES)))
$(eval $(call program_rule,$(ACTOR),$(ACTOR_SOURCES),$(foreach \
	n,$(ACTOR_NAMES),$(call archives_of,$n,)),$(foreach \
	n,$(ACTOR_NAMES),$(link_$n))))
endif

TESTS ?= $(UNIT_NAMES)
UNIT_PROGRAMS := $(addprefix $(OUT)/tests/,$(notdir $(basename $(TESTS))))
BENCH_PROGRAMS := $(addprefix $(OUT)/bench/,$(basename $(notdir $(BENCH))))

.PHONY: unit-programs e2e-programs bench-programs programs
unit-programs: $(UNIT_PROGRAMS)
e2e-programs: $(OUT)/hr $(ACTOR)
bench-programs: $(BENCH_PROGRAMS)
programs: unit-programs e2e-programs bench-programs

# What is run below must not talk to the job server of this make.
CLEAN_ENV := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES
RUN_TESTS = $(CLEAN_ENV) scripts/python scripts/run-tests \
	--out '$(OUT)' --mode $(MODE)
BUILD_FAILED = { echo '0 passed, 1 failed'; exit 1; }

.PHONY: test unit e2e
test:
	@scripts/setup build test demo
	@$(MAKE) unit-programs e2e-programs || $(BUILD_FAILED)
	@$(RUN_TESTS) --unit '$(UNIT_NAMES)' --e2e tests/e2e
unit:
	@$(MAKE) unit-programs || $(BUILD_FAILED)
	@$(RUN_TESTS) --unit '$(notdir $(basename $(TESTS)))'
e2e:
	@$(MAKE) e2e-programs || $(BUILD_FAILED)
	@$(RUN_TESTS) --e2e tests/e2e --pytest-args "$(PYTEST_ARGS)"

# ---- other builds, bench, demo ----------------------------------------------

.PHONY: asan cov bench demo
asan cov:
	@$(MAKE) MODE=$@ OUT='$(if $(filter $@,$(notdir \
		$(OUT))),$(OUT),$(OUT)/$@)' all

bench:
	@$(MAKE) e2e-programs bench-programs
	@$(CLEAN_ENV) HR='$(abspath $(OUT))/hr' BENCH='$(abspath $(OUT))/bench' \
		ACTOR='$(abspath $(OUT))/tests/actor' \
		scripts/python bench/run $(BENCH_ARGS)

demo:
	@scripts/setup build demo
	@$(MAKE) all
	@$(MAKE) -C examples/stack
	@exec $(CLEAN_ENV) $(OUT)/hr -C examples/stack up

# ---- style, install, clean --------------------------------------------------

CLANG_FORMAT ?= clang-format
C_FILES = $(sort $(wildcard $(foreach d,$(LAYERS) tests/unit tests/unit/* \
	tests/actor tests/fuzz bench examples/* examples/*/*,$d/*.c $d/*.h)))

.PHONY: style format install uninstall clean
style:
	@rc=0; $(CLANG_FORMAT) --dry-run -Werror $(C_FILES) </dev/null || rc=1; \
	scripts/python scripts/style || rc=1; exit $$rc
format:
	@$(if $(C_FILES),$(CLANG_FORMAT) -i $(C_FILES))

MAN1 = $(wildcard man/*.1)
MAN5 = $(wildcard man/*.5)
DOCS = $(wildcard README.md CHANGELOG.md docs/*.md)
install: all
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/doc/hr'
	install -m 755 $(OUT)/hr '$(DESTDIR)$(PREFIX)/bin/hr'
	install -m 644 LICENSE $(DOCS) '$(DESTDIR)$(PREFIX)/share/doc/hr'
	$(if $(MAN1),install -d '$(DESTDIR)$(PREFIX)/share/man/man1')
	$(if $(MAN1),install -m 644 $(MAN1) \
		'$(DESTDIR)$(PREFIX)/share/man/man1')
	$(if $(MAN5),install -d '$(DESTDIR)$(PREFIX)/share/man/man5')
	$(if $(MAN5),install -m 644 $(MAN5) \
		'$(DESTDIR)$(PREFIX)/share/man/man5')
uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/hr' $(foreach m,$(MAN1),\
		'$(DESTDIR)$(PREFIX)/share/man/man1/$(notdir $m)') \
		$(foreach m,$(MAN5),\
		'$(DESTDIR)$(PREFIX)/share/man/man5/$(notdir $m)')
	rm -rf '$(DESTDIR)$(PREFIX)/share/doc/hr'
clean:
	rm -rf '$(OUT)'

-include $(patsubst %.o,%.d,$(call objects,$(SOURCES) $(UNIT) \
	$(UNIT_HELPERS) $(ACTOR_SOURCES) $(BENCH)))
