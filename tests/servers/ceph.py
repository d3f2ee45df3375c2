"""Ceph's S3 server, the RADOS gateway, on a cluster of one monitor and one store in memory."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import uuid
from pathlib import Path

from embedded.localstack import BUCKET, LOGIN
from embedded.processes import Process, StartError, answers, free_port
from tests.helpers.outside import bucket_at

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
"""Of Debian's packages radosgw, ceph-mon, ceph-osd and ceph-common."""

CONFIGURATION = """
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{mon_port}
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms bind msgr2 = false
mon data = {directory}/mon
mon osd full ratio = .99
mon osd nearfull ratio = .99
mon allow pool size one = true
osd data = {directory}/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
run dir = {directory}
admin socket = {directory}/$name.asok
pid file = {directory}/$name.pid
log file = {directory}/$name.log
[client.rgw]
rgw data = {directory}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
"""


class Ceph:
    """A server on a free port of 127.0.0.1. Attributes and methods as of LocalStack."""

    name = "Ceph"

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "ceph"
        self._configuration = self._directory / "ceph.conf"
        self._mon_port = free_port()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.bucket = BUCKET
        self._processes: list[Process] = []

    def launch(self) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise StartError(f"Ceph is not installed: there is no {', '.join(missing)}.")
        for name in ("mon", "osd", "rgw"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        fsid = str(uuid.uuid4())
        self._configuration.write_text(
            CONFIGURATION.format(
                fsid=fsid, mon_port=self._mon_port, port=self.port, directory=self._directory
            )
        )
        self._start_monitor(fsid)
        self._start_store()
        self._run("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid", LOGIN,
                  "--display-name", LOGIN, "--access-key", LOGIN, "--secret", LOGIN)  # fmt: skip
        self._serve("radosgw", "-n", "client.rgw", "-f")

    def wait(self) -> None:
        self._processes[-1].wait_until(lambda: answers(self.port), seconds=60)
        bucket_at(self.url, self.bucket).create()

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.stop(signal.SIGKILL)

    def _start_monitor(self, fsid: str) -> None:
        monmap = self._directory / "monmap"
        self._run("monmaptool", "--create", "--clobber", "--fsid", fsid,
                  "--addv", "a", f"[v1:127.0.0.1:{self._mon_port}]", monmap)  # fmt: skip
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        monitor = self._serve("ceph-mon", "-i", "a", "-f", "--public-addr", f"127.0.0.1:{self._mon_port}")
        monitor.wait_until(self._has_quorum, seconds=30)

    def _has_quorum(self) -> bool:
        with contextlib.suppress(StartError, KeyError, ValueError):
            return json.loads(self._run("ceph", "quorum_status", "--connect-timeout", "2"))["quorum"] == [0]
        return False

    def _start_store(self) -> None:
        identity = str(uuid.uuid4())
        self._run("ceph", "osd", "new", identity)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        store = self._serve("ceph-osd", "-i", "0", "-f")
        store.wait_until(self._is_store_up, seconds=60)

    def _is_store_up(self) -> bool:
        with contextlib.suppress(StartError, KeyError, ValueError):
            return json.loads(self._run("ceph", "osd", "stat", "-f", "json"))["num_up_osds"] == 1
        return False

    def _run(self, program: str, *arguments: str | Path) -> str:
        command = [program, "-c", self._configuration, *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=90)
        if done.returncode:
            raise StartError(f"{program} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def _serve(self, program: str, *arguments: str) -> Process:
        command = [program, "-c", self._configuration, *arguments]
        log = self._directory / f"{program}.out"
        process = Process(program, command, {"PATH": "/usr/bin:/bin", "HOME": str(self._directory)}, log)
        self._processes.append(process)
        return process
