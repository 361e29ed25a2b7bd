# PG=16 or PG=18 after any target chooses another Postgres (default 15).
SHELL := /bin/bash

.PHONY: help setup build install test lint audit check-versions bench demo psql stop clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | column -t -s "$$(printf '\t')"

setup: ## install what is missing on this machine
	@scripts/setup.sh
build: setup ## compile the extension
	@scripts/cargo.sh build --release --lib
install: setup ## put it into your own server: make install PG_CONFIG=/path/to/pg_config
	@scripts/install.sh
test: ## everything: set up, lint, all tests (T=name: only tests with that in their name)
	@scripts/test.sh $(T)
lint: setup ## formatting and clippy
	@scripts/lint.sh
audit: setup ## licences and sources of all dependencies
	@scripts/audit.sh
check-versions: ## compile for Postgres 14 to 18
	@scripts/check-versions.sh
bench: setup ## measure what is claimed
	@scripts/cluster.sh install && cargo run --release -p sync_ext_tests --bin bench
demo: setup ## a private server, a shop, and the extension at work
	@scripts/demo.sh
psql: setup ## psql on a private server with the extension
	@scripts/cluster.sh install && scripts/cluster.sh start && scripts/cluster.sh psql
stop: ## stop the private server
	@scripts/cluster.sh stop
clean: ## remove everything built, and the private server
	@scripts/clean.sh
