"""Exit code 0 if a job of Airflow in this container shows signs of life. Takes the type of the job.

Read from the database, without Airflow: its own `airflow jobs check` takes seconds of CPU at each time. And
not from the scheduler's health server, which Airflow 2.5 forks with its connection to the database: a probe
early enough makes both wait for ever.
"""

from __future__ import annotations

import os
import socket
import sys

import psycopg2

SECONDS = 60
"""How old the last sign of life may be. Jobs give one every 5 to 30 seconds."""

ALIVE = """
    SELECT count(*) FROM job WHERE job_type = %s AND hostname = %s AND state = 'running'
    AND latest_heartbeat > now() - interval '1 second' * %s
"""


def main() -> int:
    connection = psycopg2.connect(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with connection, connection.cursor() as cursor:
        cursor.execute(ALIVE, (sys.argv[1], socket.getfqdn(), SECONDS))
        (count,) = cursor.fetchone()
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
