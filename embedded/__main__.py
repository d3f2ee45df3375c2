"""``python -m embedded demo``: run TestDag once. ``python -m embedded local``: serve Airflow's UI."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time

from embedded.airflow import UI_USER
from embedded.processes import StartError, answers
from embedded.stack import Stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="run TestDag to its end, show what came of it, and stop")
    local = commands.add_parser("local", help="run Airflow with its UI until Ctrl-C")
    local.add_argument(
        "--port", type=int, default=8080, help="of the UI, on 127.0.0.1 (default: %(default)s)"
    )
    options = parser.parse_args()
    # A supervisor's signal ends the stack in the same order as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _demo() if options.command == "demo" else _local(options.port)
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130


def _demo() -> int:
    start = time.monotonic()
    _say("Starting Postgres, LocalStack and Airflow, apart from any other on this machine")
    with Stack(_say) as stack:
        stack.airflow.start()
        _say("Running TestDag with LocalExecutor")
        command = [sys.executable, "-m", "embedded.report"]
        code = subprocess.run(command, env=stack.airflow.environment, check=False).returncode
    took = f"{time.monotonic() - start:.0f} s"
    _say(f"{'Done' if code == 0 else 'Failed'} in {took}. All that was started is stopped.")
    return code


def _local(port: int) -> int:
    if answers(port):
        raise StartError(f"port {port} is taken. Choose another: make local PORT={port + 1}")
    _say("Starting Postgres, LocalStack and Airflow, apart from any other on this machine")
    with Stack(_say, port) as stack:
        airflow = stack.airflow
        processes = airflow.start(ui=True)
        print(
            f"\n  Airflow   http://127.0.0.1:{port}\n  User      {UI_USER}\n"
            f"  Password  {airflow.ui_password}\n"
            "\nTrigger TestDag there. Ctrl-C stops everything, and nothing of it is kept.\n",
            flush=True,
        )
        while all(process.is_running() for process in processes):
            time.sleep(1)
        ended = next(process for process in processes if not process.is_running())
        raise StartError(f"{ended.name} has ended.\n{ended.tail()}")


def _say(line: str) -> None:
    print(f"==> {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
