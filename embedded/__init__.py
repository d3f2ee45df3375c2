"""The stack without Docker: Postgres, LocalStack and Airflow as processes, from wheels."""
