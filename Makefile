.DEFAULT_GOAL := help
AIRFLOW_VERSION ?= 2.5.3
VENV := $(if $(filter 2.5.3,$(AIRFLOW_VERSION)),.venv,.venv-3)
PYTHON := $(VENV)/bin/python
PYTEST = $(PYTHON) -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
PORT ?= 8080
EXAMPLES ?= 10000
OPERATIONS ?= 3000
INJECTIONS ?= 1200
GIB ?= 10
TEST_WORKERS ?= 2
VERSIONS ?= 2.5.0 2.5.3 2.6.3 2.7.3 2.8.4 2.9.3 2.10.5 2.11.0 2.11.2 2.11.2+boto3 3.0.6 3.1.8 3.2.2 3.3.2
# What does not depend on Airflow or Postgres more than on S3, and takes no minutes.
SPEAKS_S3 := $(wildcard $(addprefix tests/integration/test_,$(addsuffix .py,any_server backend bucket cli \
	expanding file_handover find_and_read format_1 lifecycle look other_servers pages permissions restore secrecy streams sweep values wide_batches)))
DAG ?= TestDag
CONF ?= {}
# As they were written, with any quotes and dollar signs: make would expand them, and so would a shell.
export RAW_DAG := $(value DAG)
export RAW_CONF := $(value CONF)
unexport DAG CONF

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

install: $(VENV)/.installed ## make .venv (Airflow; AIRFLOW_VERSION=3.3.2: .venv-3) and .venv-localstack

.venv/.installed: $(wildcard requirements/*.txt) scripts/install.sh
	@AIRFLOW_VERSION=2.5.3 scripts/install.sh

.venv-3/.installed: $(wildcard requirements/*.txt) scripts/install.sh
	@AIRFLOW_VERSION=$(AIRFLOW_VERSION) scripts/install.sh

## Without Docker

demo: install ## run TestDag on a private Postgres, LocalStack and Airflow, and show what came of it
	@$(PYTHON) -m embedded demo

local: install ## the same stack in the foreground, with Airflow's UI (PORT=8080)
	@$(PYTHON) -m embedded local --port $(PORT)

check: install lint ## lint, and the unit tests, which need no stack
	@$(PYTEST) tests/unit

test: install ## unit and integration tests, by workers with a private Postgres and LocalStack each (TEST_WORKERS=2)
	@$(PYTEST) tests/unit tests/integration

test-servers: install ## the tests that speak to S3, on SeaweedFS and on Ceph (Debian: radosgw ceph-mon ceph-osd)
	@scripts/test_servers.sh -n $(TEST_WORKERS) --dist loadfile $(SPEAKS_S3)

test-properties: install ## the property tests and the fuzzing, at length (EXAMPLES=10000)
	@PROPERTY_EXAMPLES=$(EXAMPLES) $(PYTHON) -m pytest tests/unit/test_properties.py tests/integration/test_any_sequence.py

test-stress: install ## pushes, deletions and sweeps at once, at length (OPERATIONS=3000)
	@STRESS_OPERATIONS=$(OPERATIONS) $(PYTHON) -m pytest tests/integration/test_stress.py

test-faults: install ## faults of S3, network, database and tasks, at length; writes docs/faults.md (INJECTIONS=1200)
	@FAULT_INJECTIONS=$(INJECTIONS) FAULT_PAGE=docs/faults.md $(PYTHON) -m pytest tests/integration/test_faults.py

test-large: install ## push a table larger than the memory of the process that does it (GIB=10)
	@$(PYTHON) -m tests.benchmarks.larger_than_memory $(GIB)

bench: install ## measure against the floor and the peers; writes docs/benchmarks.md (PARTS="kinds database")
	@$(PYTHON) -m tests.benchmarks $(PARTS)

test-matrix: install ## the tests on other releases of Airflow, each in a throw-away environment (VERSIONS=...)
	@scripts/test_matrix.sh $(VERSIONS)

test-migration: install ## XComs of 2.5.3 and 2.11.2, read by 3.3.2 after Airflow's own migration of the database
	@scripts/test_migration.sh

lint: install ## ruff, for errors and for layout
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

## With Docker

env: ## write .env with new secrets, if there is none
	@scripts/make_env.sh

up: ## build and start the Compose stack, and wait until it is healthy (EXECUTOR=celery WORKERS=3)
	@scripts/up.sh

trigger: ## run TestDag in the Compose stack and wait for its end (DAG=TestDag CONF='{}')
	@scripts/compose.sh exec -T airflow-scheduler python /opt/airflow/scripts/run_dag.py "$$RAW_DAG" --conf "$$RAW_CONF"

xcom: ## the backend's command line in the Compose stack (ARGS="ls --dag TestDag"; ARGS="show s3://... --save -" > file)
	@scripts/compose.sh exec -T airflow-scheduler python -W ignore -m include.s3_xcom $(ARGS)

password: ## set the password of the UI's administrator to what .env says
	@scripts/compose.sh run --rm --no-TTY airflow-init python /opt/airflow/scripts/prepare_airflow.py --set-password

ps: ## the services of the Compose stack
	@scripts/compose.sh ps

logs: ## their logs, as they come
	@scripts/compose.sh logs --follow --tail 50

down: ## stop the Compose stack; its data stays
	@scripts/compose.sh down

clean: ## stop it and delete its data
	@scripts/compose.sh down --volumes --remove-orphans
	@docker image prune --force --filter label=s3-xcom > /dev/null

test-stack: .venv/.installed ## start the Compose stack from nothing, run TestDag over the REST API (AIRFLOW_VERSION=...)
	@AIRFLOW_VERSION=$(AIRFLOW_VERSION) .venv/bin/python -m pytest tests/stack

screenshots: .venv/.installed ## make the pictures of the pages anew, from the Compose stack (AIRFLOW_VERSION=...)
	@SCREENSHOTS=yes AIRFLOW_VERSION=$(AIRFLOW_VERSION) .venv/bin/python -m pytest tests/stack -k "from_the_login or from_a_task"

## Maintenance

docs: install ## write docs/types.md from the tests
	@AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES=".*" $(PYTHON) -W ignore -c \
	    "from tests.helpers import kinds; kinds.PAGE.write_text(kinds.page())"

audit: install ## look the locked packages up among the known vulnerabilities
	@$(PYTHON) scripts/audit.py

lock: install ## resolve requirements/*.in again
	@scripts/lock.sh

.PHONY: help install demo local check test test-servers test-properties test-stress test-faults test-large test-matrix test-migration bench lint up trigger xcom password ps logs down clean test-stack screenshots docs audit lock
