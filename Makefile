.PHONY: help run test lint format bench bench-smoke profile

# Which Python to make .venv with: `make test PYTHON=python3.13`.
PYTHON ?= python3

help:
	@echo "make run     start the app"
	@echo "make test    run all tests"
	@echo "make lint    check style and types"
	@echo "make format  format the code"
	@echo "make bench   measure speed beside the bare SDK and plain Gradio"
	@echo "make profile show where the processor time goes with 100 users"

run: .venv/ready
	.venv/bin/python app.py

test: .venv/ready
	.venv/bin/pytest -n auto

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/ready
	.venv/bin/python -m benchmarks

bench-smoke: .venv/ready
	.venv/bin/python -m benchmarks --short

profile: .venv/ready
	.venv/bin/python -m benchmarks.hotspots

.venv/ready: requirements.txt tests/requirements.txt
	@$(PYTHON) -c 'import chatbot'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -r tests/requirements.txt
	touch $@
