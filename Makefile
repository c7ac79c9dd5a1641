# frazil: `make demo` and `make test` need nothing but npm, Java 17+ with Maven, and Python 3.
# Each target sets up what it needs, on a fresh clone and again later.

.PHONY: help demo demo-aws test check build sim chaos soak bench bench-long bench-page bench-parts bench-catalogs bench-commits bench-decode bench-parquet bench-source bench-verify clean
.DEFAULT_GOAL := help

# The project brings its own Node, from npm.
node := node_modules/.bin/node
vitest := $(node) node_modules/vitest/vitest.mjs run --config test/vitest.config.ts
sources := $(shell find src -name '*.ts')

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 — /p' Makefile

demo: build ## a million orders from Kafka into Iceberg, a worker killed on the way, and the proof (orders=N)
	@localstack/need java mvn python3
	@$(node) localstack/demo.ts $(if $(orders),--orders $(orders))

demo-aws: build ## the same in the shape of AWS: Glue and S3 (emulated), queried with Trino (orders=N)
	@localstack/need java mvn python3
	@$(node) localstack/demo.ts --lake aws --folder demo-aws $(if $(orders),--orders $(orders))

test: build ## all checks and tests, on a real Kafka and registry, read back by other engines
	@localstack/need
	@$(MAKE) --no-print-directory lint
	@$(vitest)

check: build lint ## format, lint, types, dead code, package, unit and property tests: what Node alone can
	@$(vitest) --project unit

.PHONY: lint
lint: build
	@$(node) node_modules/.bin/biome check --error-on-warnings
	@$(node) node_modules/typescript/bin/tsc -p test/tsconfig.json --noEmit
	@$(node) node_modules/.bin/knip
	@$(node) node_modules/.bin/publint --strict

build: dist/cli/main.js ## then ./frazil runs the program

dist/cli/main.js: node_modules/.ready tsconfig.json package.json $(sources)
	@rm -rf dist
	@$(node) node_modules/typescript/bin/tsc -p tsconfig.json
	@touch $@

# By the lock file, as npm ci does, which however refuses where a registry lacks the binaries of other platforms.
# The package `node` fetches the binary for this machine when it is installed, which some npm set-ups forbid.
node_modules/.ready: package.json package-lock.json
	@localstack/need node npm
	npm install --no-save --loglevel=error
	@$(node) --version >/dev/null 2>&1 || (cd node_modules/node && node installArchSpecificPackage)
	@touch $@

sim: build ## the core in simulated worlds of faults: SEEDS=N of them, or SEED=S; SHRINK=1 reduces a failure
	@$(node) test/sim/run.ts $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SHRINK),--shrink)

chaos: build ## real parts, killed, frozen, cut off and filled up for a while; each offset must land once: MINUTES=10 SEED=N
	@localstack/need
	@$(node) test/chaos/run.ts $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

# What the bench is told: cells=avro,json,...|all records=N rounds=N
bench_options = $(if $(cells),--cells $(cells)) $(if $(records),--records $(records)) $(if $(rounds),--rounds $(rounds))

bench: build ## frazil beside Kafka Connect in one run (cells=avro,json,...|all records=N rounds=N); quiet machine, 20 minutes
	@localstack/need java mvn python3
	@$(node) bench/side-by-side.ts $(bench_options)

bench-long: build ## the same with Flink
	@localstack/need java mvn python3
	@$(node) bench/side-by-side.ts --contestants frazil,kafka-connect,flink $(bench_options)

bench-page: node_modules/.ready ## what `make bench` has found goes into docs/performance.md
	@$(node) bench/page.ts

bench-parts: build ## frazil alone on a real Kafka, whole and part by part (orders=N); quiet machine, some minutes
	@localstack/need java mvn python3
	@$(node) bench/orders.ts $(if $(orders),--orders $(orders))

bench-catalogs: build ## commits a second of each catalog, alone and eight at one table (commits=N)
	@localstack/need
	@$(node) bench/catalogs.ts $(if $(commits),--commits $(commits))

bench-commits: build ## what a commit costs on a table of up to 10,000 snapshots and 100,000 files (snapshots=N,N)
	@$(node) bench/commits.ts $(if $(snapshots),--snapshots $(snapshots))

bench-parquet: build ## writing Parquet beside arrow-rs and pyarrow (rounds=N, only=the beginning of a name)
	@localstack/need python3
	@$(node) bench/parquet.ts $(if $(rounds),--rounds $(rounds)) $(if $(only),--only $(only))

bench-source: build ## records from Kafka beside other clients, in one run (records=N)
	@localstack/need
	@$(node) bench/source.ts $(if $(records),--records $(records))

bench-decode: build ## records to columns beside avsc and JSON.parse (only=order for some cells)
	@$(node) bench/decode.ts $(if $(only),--only $(only))

bench-verify: build ## frazil verify on a table of 100,000 files (files=N)
	@$(node) bench/verify.ts $(if $(files),--files $(files))

soak: build ## ten minutes at 10,000 records/s with 128 MiB, the catalog locked for one (minutes=N)
	@localstack/need
	@$(node) bench/soak.ts $(if $(minutes),--minutes $(minutes))

clean: ## remove what was built, and the demo
	@for parts in demo/parts demo-aws/parts; do [ ! -d $$parts ] || localstack/down --data $$parts --wipe; done
	rm -rf dist demo demo-aws test/java/target node_modules/.ready
