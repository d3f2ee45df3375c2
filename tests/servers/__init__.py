"""S3 servers to run the tests on, by name: the environment variable ``S3_SERVER`` chooses."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from embedded.localstack import LocalStack
from tests.servers.ceph import Ceph
from tests.servers.seaweedfs import SeaweedFS

SERVERS: dict[str, Callable[[Path], Any]] = {"localstack": LocalStack, "seaweedfs": SeaweedFS, "ceph": Ceph}
CHOSEN = os.environ.get("S3_SERVER", "localstack")


@contextlib.contextmanager
def running(server: Any) -> Iterator[Any]:
    """A server, started, and stopped at the end."""
    try:
        server.launch()
        server.wait()
        yield server
    finally:
        server.stop()
