.PHONY: help run test lint format

help:
	@echo "make run     start the app"
	@echo "make test    run all tests"
	@echo "make lint    check style and types"
	@echo "make format  format the code"

run: .venv/ready
	.venv/bin/python app.py

test: .venv/ready
	.venv/bin/pytest

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.venv/ready: requirements.txt tests/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install -r tests/requirements.txt
	touch $@
