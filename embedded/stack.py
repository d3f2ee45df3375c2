"""The whole stack, up and down again."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from embedded.airflow import Airflow
from embedded.localstack import LocalStack
from embedded.postgres import Postgres


class Stack:
    """Postgres, LocalStack and Airflow, apart from any other on this machine.

    Everything lies in a new temporary directory, and is stopped and removed at the end. Ports are chosen when
    the object is made, so that Airflow's environment is known before anything runs.

    :param say: called with a line at each step
    :param port: of Airflow's UI; None: any that is free
    :param new_s3: makes the S3 server, which has the methods and attributes of :class:`LocalStack`
    """

    def __init__(
        self,
        say: Callable[[str], None] | None = None,
        port: int | None = None,
        new_s3: Callable[[Path], LocalStack] = LocalStack,
    ) -> None:
        # Short, for the path of Postgres's socket has at most 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="s3xcom-", dir="/tmp"))
        self.s3 = new_s3(self.directory)
        self.postgres = Postgres(self.directory)
        self.airflow = Airflow(self.directory, self.postgres, self.s3, port)
        self._say = say
        self._cleanup = ExitStack()
        self._cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)

    def __enter__(self) -> Stack:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._cleanup.close()

    def _start(self) -> None:
        start = time.monotonic()
        for part in (self.s3, self.postgres, self.airflow):
            self._cleanup.callback(part.stop)
        self.s3.launch()  # it takes longest: the others start meanwhile
        self.postgres.start()
        self._tell(f"Postgres on 127.0.0.1:{self.postgres.port}", start)
        with ThreadPoolExecutor() as threads:
            making = threads.submit(self.s3.wait)
            self.airflow.prepare()  # which notes the database in the bucket
            making.result()
        self._tell("Airflow's database and connections", start)
        self._tell(f"{self.s3.name} S3 on {self.s3.url}", start)

    def _tell(self, line: str, start: float) -> None:
        if self._say is not None:
            self._say(f"{line} ({time.monotonic() - start:.0f} s)")
