#!/usr/bin/env bash
# Run once on a new Postgres, as its superuser: Airflow's own database, and apart from it the example's,
# which TestDag's user may only read.
set -euo pipefail

: "${AIRFLOW_DB_PASSWORD:?}" "${DEMO_DB_PASSWORD:?}"
table=${1:-/opt/airflow/include/sql/my_table.sql}

psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv demo_password DEMO_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE demo LOGIN PASSWORD :'demo_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE demo;
REVOKE ALL ON DATABASE airflow, demo, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE demo TO demo;
SQL

psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --dbname demo --file "$table"
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --dbname demo <<'SQL'
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO demo;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO demo;
SQL
