"""SeaweedFS: a whole S3 server in one process, from a wheel."""

from __future__ import annotations

import json
import signal
import sysconfig
from pathlib import Path
from typing import Any

from embedded.localstack import BUCKET, LOGIN
from embedded.processes import Process, StartError, free_port
from tests.helpers.outside import bucket_at

WEED = Path(sysconfig.get_path("scripts")) / "weed"
READER = "reader"
"""Access key and secret key of a user who may only read."""


class SeaweedFS:
    """A server on free ports. Attributes and methods as of LocalStack.

    :param address: of this machine
    :param certificate: file with certificate and key; without, the server does not speak TLS
    """

    name = "SeaweedFS"

    def __init__(self, directory: Path, address: str = "127.0.0.1", certificate: Path | None = None) -> None:
        self._directory = directory / "seaweedfs"
        self._log = directory / "seaweedfs.log"
        self._address = address
        self.certificate = certificate
        self.port = free_port()
        self.url = f"{'https' if certificate else 'http'}://{address}:{self.port}"
        self.bucket = BUCKET

    def launch(self) -> None:
        if not WEED.exists():
            raise StartError(f"There is no {WEED}. Run `make install`.")
        self._directory.mkdir(exist_ok=True)
        identities = self._directory / "identities.json"
        identities.write_text(
            json.dumps({"identities": [_identity(LOGIN, "Admin"), _identity(READER, "Read", "List")]})
        )
        options = {
            "dir": self._directory,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.ip.bind": self._address,
            "master.volumeSizeLimitMB": 1024,
            "volume.max": 64,
            "filer.localSocket": self._directory / "filer.sock",
            "s3.localSocket": self._directory / "s3.sock",
            "s3.config": identities,
            "s3.port": self.port,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        if self.certificate is not None:
            options.update({"s3.cert.file": self.certificate, "s3.key.file": self.certificate})
        for part in ("master", "volume", "filer", "s3"):
            if part != "s3":
                options[f"{part}.port"] = free_port()
            options[f"{part}.port.grpc"] = free_port()
        command = [WEED, "server", "-filer", "-s3", *(f"-{name}={value}" for name, value in options.items())]
        self._process = Process(self.name, command, {"HOME": str(self._directory)}, self._log)

    def wait(self) -> None:
        self._process.wait_until(self._is_ready, seconds=60)
        self._outside().create()

    def stop(self) -> None:
        if hasattr(self, "_process"):
            self._process.stop(signal.SIGKILL)

    def _is_ready(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._outside().meta.client.list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def _outside(self) -> Any:
        verify = str(self.certificate) if self.certificate else None
        return bucket_at(self.url, self.bucket, verify)


def _identity(name: str, *actions: str) -> dict:
    return {
        "name": name,
        "credentials": [{"accessKey": name, "secretKey": name}],
        "actions": list(actions),
    }
