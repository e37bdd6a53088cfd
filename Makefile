# The whole project from four commands: demo, app, test, check.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY ?= PASSIVE
TABLE ?= ./skyhex-data
MAP := search_app/page/map

.PHONY: install demo app test test-buckets test-ray test-kernels check lines map map-check clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu,app]"
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu,app,dev]"
	touch $@

demo: install              ## simulate a small world, embed it, search it
	$(BIN)/skyhex demo -t $(TABLE)

app: install               ## the map, on what the demo made
	$(BIN)/skyhex app -t $(TABLE)

check: .venv/installed-dev ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check test-buckets test-ray  ## everything, coverage printed
	$(BIN)/python -m pytest --cov --cov-report=term --ignore=tests/buckets

test-buckets: .venv/installed-dev  ## tables in a bucket, against an S3 server in an environment of its own
	$(BIN)/python -m pytest tests/buckets

test-ray: .ray/installed   ## embedding on Ray, in an environment that has it besides
	.ray/bin/python -m pytest tests/pipeline/on_ray

.ray/installed: .venv/installed-dev
	test -x .ray/bin/python || $(BIN)/python -m venv .ray
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > `.ray/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))"`/skyhex-dev.pth
	.ray/bin/python -m pip install --quiet -c constraints.txt "ray>=2.60"
	touch $@

test-kernels: .venv/installed-dev  ## what computes, on the kernels of lesser processors
	bash tests/kernels.sh $(BIN)/python

lines: .venv/installed-dev ## of product code, room by room
	$(BIN)/python tests/lines.py

map: $(MAP)/node_modules   ## the map's bundle from its TypeScript; needs node, which no user does
	cd $(MAP) && npm run --silent build

map-check: $(MAP)/node_modules ## that the bundle is what its source makes
	cd $(MAP) && npx tsc --noEmit && node build.mjs "$(CURDIR)/build/map" && diff -rq dist "$(CURDIR)/build/map"

$(MAP)/node_modules: $(MAP)/package-lock.json
	cd $(MAP) && npm ci --silent && touch node_modules

clean:
	rm -rf .venv .ray .moto .azurite skyhex-data build $(MAP)/node_modules
