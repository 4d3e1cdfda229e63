# The front door: every target is a line or two over CMake, Ninja and tools/. `make help` lists them.
RELEASE := build/release
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60

.PHONY: all run speedrun test check bench fuzz format lint setup fresh clean help
all: ## build the program and leave it at ./cria
	@tools/setup build
	@tools/build release cria
	@ln -sfn $(RELEASE)/cria cria

run: all ## build, fetch the small model if it is not here, answer once, then chat
	@tools/run

speedrun: all ## from raw text: tokenizer, training, a page with pictures, a story (ten minutes on two cores)
	@tools/speedrun

test: ## release build and the whole suite (minutes)
	@tools/setup test
	@tools/build release
	@ln -sfn $(RELEASE)/cria cria
	@ctest --test-dir $(RELEASE) --output-on-failure --no-tests=error -j $(JOBS) -LE check

check: ## sanitizers, clang, other CPUs, fuzz targets for a few seconds (up to 40 minutes)
	@tools/setup check
	@tools/check

bench: all ## tokens per second of small models, and how much of what the machine can do that is
	@./cria pull smollm2
	@./cria bench smollm2
	@bench/compare --alone --quick --models build

fuzz: ## every fuzz target for FUZZ_SECONDS (60)
	@tools/setup check
	@tools/build fuzz
	@tools/fuzz $(FUZZ_SECONDS)

format: ## clang-format over the C files
	@tools/setup check
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format-14 -i

lint: ## the rules of tools/tidy, then clang-format and clang-tidy, which change nothing
	@tools/setup check
	@tools/build clang
	@python3 tools/tidy --build build/clang
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format-14 --dry-run -Werror
	@git ls-files 'src/*.c' ':!*_test.c' ':!*_fake.c' | xargs -P $(JOBS) -n 4 clang-tidy -p build/clang --quiet

setup: ## install every Debian package that build, test and check need
	@tools/setup check

fresh: ## prove `make run` and `make test` in an empty Debian 12 (root only)
	@tools/setup fresh
	@tools/fresh

clean: ## remove everything that was built
	@rm -rf build cria

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r t h; do printf '  make %-8s %s\n' "$$t" "$$h"; done
