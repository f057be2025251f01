# make run          set up and run the main command; options go into ARGS, as in: make run ARGS="--steps 40 --seed 1"
# make test         set up and run every check
# make test-gpu     check on this machine's GPU that the same comes out as on the CPU
# make docs         build the documentation site into site/, to be read from disk: open site/index.html
# make lock         choose the newest versions that pyproject.toml allows and write them to requirements/;
#                   with UPGRADE= only those of packages that pyproject.toml added
# make test-oldest  run the tests with the oldest versions that pyproject.toml allows
# make test-newest  run the tests with the newest; warnings are reported there, not errors
# make test-examples  check the examples that need packages of others: the adapters of examples/envs, and TRL

PYTHON ?= python3.11
TORCH ?= torch==2.13.0
TORCH_OLDEST ?= torch==2.6.0
ARGS ?=
UPGRADE ?= --upgrade

# Idle threads that spin slow everything down where processes outnumber cores.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: run test test-gpu docs lock test-oldest test-newest test-examples

run: .venv/train
	.venv/bin/hero run --env webshop --learner distill $(ARGS)

test: .venv/dev
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/check

test-gpu: .venv/dev
	HERO_TEST_GPU=1 .venv/bin/python -m pytest -q tests/test_gpu.py

# Without --quiet, with which warnings would pass.
docs: export NO_MKDOCS_2_WARNING = 1
docs: .venv-docs/mkdocs
	.venv-docs/bin/python -m mkdocs build --strict

# torch goes by version alone: whether it is a build for the CPU or for CUDA is up to the index.
.venv/train: pyproject.toml requirements/train.txt
	$(PYTHON) -m venv .venv
	$(call install,.venv,requirements/train.txt,$(TORCH))
	touch $@

.venv/dev: pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv .venv
	$(call install,.venv,requirements/dev.txt,$(TORCH))
	touch .venv/train $@

.venv-docs/mkdocs: requirements/docs.txt
	$(PYTHON) -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/docs.txt
	touch $@

# Exactly what a lock file says, and this package without asking an index for anything more.
define install
$(1)/bin/python -m pip install --quiet --no-deps --require-hashes --requirement $(2)
$(1)/bin/python -m pip install --quiet '$(3)'
$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endef

LOCK = .venv-lock/bin/uv pip compile --quiet --custom-compile-command "make lock" --generate-hashes --python-version 3.11
COMPILE = $(LOCK) --group lock --extra train
DEV = --extra gguf --extra users --extra lora --extra dev

lock: .venv-lock/uv
	$(COMPILE) $(UPGRADE) --universal $(DEV) pyproject.toml -o requirements/dev.txt
	$(COMPILE) --universal --constraint requirements/dev.txt --no-annotate pyproject.toml -o requirements/train.txt
	$(COMPILE) $(UPGRADE) --resolution lowest-direct $(DEV) pyproject.toml -o requirements/oldest.txt
	$(LOCK) $(UPGRADE) --universal --no-annotate --group docs -o requirements/docs.txt

.venv-lock/uv:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet 'uv==0.13.9'
	touch $@

test-oldest:
	$(PYTHON) -m venv --clear .venv-oldest
	$(call install,.venv-oldest,requirements/oldest.txt,$(TORCH_OLDEST))
	.venv-oldest/bin/python -m pytest -q -W default

test-examples:
	$(PYTHON) -m venv --clear .venv-examples
	$(call install,.venv-examples,requirements/dev.txt,$(TORCH))
	.venv-examples/bin/python -m pip install --quiet 'textarena==0.7.4' 'gem-llm==0.1.0' 'trl==1.16.0'
	.venv-examples/bin/python -m pytest -q -W default tests/test_example_envs.py tests/test_example_trl.py tests/chat/test_released_templates.py

test-newest:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet '$(TORCH)'
	.venv-newest/bin/python -m pip install --quiet --upgrade --editable '.[train,gguf,users,lora,dev]'
	.venv-newest/bin/python -m pip list
	.venv-newest/bin/python -m pytest -q -W default
