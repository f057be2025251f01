# make run    set up and run the main command; options go into ARGS, as in: make run ARGS="--steps 40 --seed 1"
# make test   set up and run every check

PYTHON ?= python3.11
TORCH ?= torch==2.13.0
ARGS ?=

# Idle threads that spin slow everything down where processes outnumber cores.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: run test

run: .venv/train
	.venv/bin/hero run --env webshop --learner distill $(ARGS)

test: .venv/dev
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/check

# torch goes first and by version, so that the ranges of pyproject.toml do not choose another build.
.venv/train: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet '$(TORCH)'
	.venv/bin/python -m pip install --quiet --editable '.[train]'
	touch $@

.venv/dev: .venv/train
	.venv/bin/python -m pip install --quiet --editable '.[train,dev]'
	touch $@
