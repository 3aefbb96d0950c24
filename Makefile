# Two commands for everybody: `make run` (the main job) and `make test`. Each makes what it needs in .venv/.
# Needed: Python 3.11 or newer, a C compiler, make. `VERSIONS=3.11` chooses one of the Pythons that are here.

PYTHONS := $(shell .ci/pythons)
VERSIONS ?= $(foreach p,$(PYTHONS),$(firstword $(subst =, ,$(p))))
SOURCES := $(shell find core plugins cython strategies.toml pyproject.toml -type f \
	-not -name '*.so' -not -name '*.c' -not -path '*/__pycache__/*') $(addprefix cython/pagexchange_native/,movers/moves.c engine/guard.c)
NEWEST := $(lastword $(VERSIONS))
OLDEST := $(firstword $(VERSIONS))
python = $(patsubst $(1)=%,%,$(filter $(1)=%,$(PYTHONS)))
# By file: what a file shares is made once.
PYTEST := bin/python -P -m pytest -q -c ../pyproject.toml --rootdir .. -n auto --maxprocesses 4 --dist loadfile .
# What steps through a process, or runs a whole suite in another one, asks the native code, which is the same on all Pythons.
without_slow = $(if $(filter $(1),$(NEWEST)),, -m 'not slow')
PIP := bin/python -m pip --disable-pip-version-check --quiet
# setuptools calls the list of extension modules in pyproject.toml experimental at every build; see docs/decisions.md.
export PYTHONWARNINGS := ignore:`[tool.setuptools.ext-modules]`

ifeq ($(NEWEST),)
$(error no Python 3.11 or newer with venv found)
endif

# A new environment: of which Python, and its name under .venv/.
define environment
@rm -rf .venv/$(2)
@$(call python,$(1)) -m venv .venv/$(2)
@.venv/$(2)/$(PIP) install --upgrade 'pip>=25.1'
endef

# What is made by pattern rules is kept.
.SECONDARY:
.PHONY: run million test test-oldest test-strangers model protocol steps torture same mutants mutants-core
.PHONY: guest sanitize sanitize-asan sanitize-tsan coverage
.PHONY: lint bench clean help
help:
	@echo "make run            run every shipped strategy on the packaged snapshot and show what happened"
	@echo "make million        the same with a million pairs of made-up pages (minutes, 11 GiB of memory)"
	@echo "make test           run the tests on every Python 3.11+ found here ($(VERSIONS))"
	@echo "make test-strangers those of them that install strangers' packages, on the newest Python"
	@echo "make test-oldest    the same with the oldest dependencies that pyproject.toml allows, on the oldest Python"
	@echo "make model          2,000 programs of 50 calls, each checked against a reference arena (minutes; newest Python)"
	@echo "make protocol       every order of the record's stores, with one more death than in \`make test\` (minutes to an hour)"
	@echo "make steps          a process dies after every store of each exchange and call: what is recovered, by phase (half an hour; SHARE=0.1)"
	@echo "make torture        everybody at once: exchanges, migrations, readers, writers, deaths (minutes; SECONDS=600, SEED=7)"
	@echo "make same           50 pairs of runs of the same code: how often compare cries wolf (ten minutes; PAIRS=10, BENCH=--bench)"
	@echo "make guest          a virtual machine with NUMA nodes: what Linux does there to pages of all kinds, and pagexchange in it (minutes; LINUX=6.1)"
	@echo "make mutants        plant the faults of tests/mutants/native/ in the native code in two copies (more than ten minutes)"
	@echo "make mutants-core   small faults in the core, by Cosmic Ray, some 230 of them (half an hour; SAMPLE=100, SEED=7)"
	@echo "make sanitize       the native and threaded tests under gcc's sanitizers, after faults that they must report (minutes)"
	@echo "make coverage       what the tests run of core/ and of the native code (a quarter of an hour)"
	@echo "make lint           ruff, mypy and pyright"
	@echo "make bench          ratios with their limits, fails if one is beyond (minutes; BENCH='--quick --only folio')"
	@echo "make clean          remove .venv and build files"

run: .venv/run/ready
# 6: the machine was busy, and the table says so. That is no failure of a strategy.
	.venv/run/bin/pagexchange run strategies.toml || [ $$? -eq 6 ]

million: .venv/run/ready
	.venv/run/bin/pagexchange run strategies.toml --pairs 1000000 --rounds 1 --set workload.source=synthetic \
		--set arena.nodes.fast='"4480 MiB"' --set arena.nodes.slow='"4480 MiB"' || [ $$? -eq 6 ]

test: $(VERSIONS:%=test-%) test-strangers

test-%: .venv/test-%/ready
	@echo "== tests on Python $*$(call without_slow,$*)"
	cd tests && ../.venv/test-$*/$(PYTEST)$(call without_slow,$*)

# All that needs a wheel and a fresh environment: on one Python only, skipped by the others.
test-strangers: .venv/test-$(NEWEST)/ready
	@echo "== strangers' packages on Python $(NEWEST) (minutes)"
	cd tests && PAGEXCHANGE_STRANGERS=1 ../.venv/test-$(NEWEST)/$(patsubst .,third_party/test_strangers.py,$(PYTEST))

test-oldest: .venv/test-oldest/ready
	@echo "== tests with the oldest dependencies$(call without_slow,oldest)"
	cd tests && ../.venv/test-oldest/$(PYTEST)$(call without_slow,oldest)

model: .venv/test-$(NEWEST)/ready
	cd tests && PAGEXCHANGE_MODEL=ci ../.venv/test-$(NEWEST)/$(patsubst .,model,$(PYTEST))

protocol: .venv/test-$(NEWEST)/ready
	cd tests && PAGEXCHANGE_PROTOCOL=long ../.venv/test-$(NEWEST)/$(patsubst .,protocol,$(PYTEST))

# All states of the short phases; of the data step's a share, drawn by the seed.
SHARE ?= 1
steps: .venv/test-$(NEWEST)/ready
	PYTHONPATH=. .venv/test-$(NEWEST)/bin/python -P -m tests.steps --again --share $(SHARE) $(SEED:%=--seed %)

SECONDS ?= 120
torture: .venv/test-$(NEWEST)/ready
	PYTHONPATH=. .venv/test-$(NEWEST)/bin/python -P -m tests.torture --control --seconds 60 $(SEED:%=--seed %)
	PYTHONPATH=. .venv/test-$(NEWEST)/bin/python -P -m tests.torture --deaths 20 $(SEED:%=--seed %)
	PYTHONPATH=. .venv/test-$(NEWEST)/bin/python -P -m tests.torture --seconds $(SECONDS) $(SEED:%=--seed %)

PAIRS ?= 50
same: .venv/test-$(NEWEST)/ready
	PYTHONPATH=. .venv/test-$(NEWEST)/bin/python -P -m tests.same_twice --pairs $(PAIRS) $(BENCH)

# 75: kernel or QEMU cannot be had here, which was said.
LINUX ?= 6.12
guest: .venv/run/ready
	PYTHONPATH=. .venv/run/bin/python -P -m tests.guest --linux $(LINUX)

mutants: .venv/test-$(NEWEST)/ready
	.venv/test-$(NEWEST)/bin/python .ci/mutants

SAMPLE ?= 200
mutants-core: .venv/mutants-core/ready
	.venv/mutants-core/bin/python .ci/mutants-core --sample $(SAMPLE) $(SEED:%=--seed %)

# Both keep what they build under build/, apart from all else.
sanitize: sanitize-asan sanitize-tsan

sanitize-asan sanitize-tsan: sanitize-%: .venv/test-$(NEWEST)/ready
	.venv/test-$(NEWEST)/bin/python .ci/sanitize $*

coverage: .venv/test-$(NEWEST)/coverage
	.venv/test-$(NEWEST)/bin/python .ci/coverage

lint: .venv/lint/ready
	.venv/lint/bin/ruff check .
	.venv/lint/bin/ruff format --check .
	.venv/lint/bin/mypy
	.venv/lint/bin/pyright --pythonpath .venv/lint/bin/python --warnings

bench: .venv/run/ready
	PYTHONPATH=. .venv/run/bin/python -P -m benchmarks $(BENCH)

# One wheel per Python, for all that needs the package installed on it.
.venv/wheel-%/ready: $(SOURCES)
	@echo "== building for Python $* (a minute or two)"
	@rm -rf .venv/wheel-$*
	@$(call python,$*) -m venv .venv/wheel-$*
	@.venv/wheel-$*/$(PIP) wheel --no-deps --wheel-dir .venv/wheel-$* .
	@touch $@

.venv/run/ready: .venv/wheel-$(NEWEST)/ready
	@rm -rf .venv/run
	@$(call python,$(NEWEST)) -m venv .venv/run
	@.venv/run/$(PIP) install .venv/wheel-$(NEWEST)/*.whl
	@touch $@

.venv/test-%/ready: .venv/wheel-%/ready
	$(call environment,$*,test-$*)
	@.venv/test-$*/$(PIP) install .venv/wheel-$*/*.whl --group test --group build
	@touch $@

.venv/test-%/coverage: .venv/test-%/ready
	@.venv/test-$*/$(PIP) install --group coverage
	@touch $@

# An environment of its own: the faults are planted in what is installed there.
.venv/mutants-core/ready: .venv/wheel-$(NEWEST)/ready
	$(call environment,$(NEWEST),mutants-core)
	@.venv/mutants-core/$(PIP) install .venv/wheel-$(NEWEST)/*.whl --group mutation
	@touch $@

.venv/test-oldest/ready: $(SOURCES) .ci/oldest
	@echo "== building for Python $(OLDEST) with the oldest dependencies (a minute or two)"
	$(call environment,$(OLDEST),test-oldest)
	@$(call python,$(OLDEST)) .ci/oldest > .venv/test-oldest/constraints.txt
	@.venv/test-oldest/$(PIP) install -c .venv/test-oldest/constraints.txt --group test --group build
	@.venv/test-oldest/$(PIP) install -c .venv/test-oldest/constraints.txt --no-build-isolation .
	@touch $@

.venv/lint/ready: pyproject.toml
	$(call environment,$(NEWEST),lint)
	@.venv/lint/$(PIP) install --group lint numpy pluggy click rich msgspec tomli
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find cython -name '*.so' -delete
	find cython -name '*.c' -not -name moves.c -not -name guard.c -delete
