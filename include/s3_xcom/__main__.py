"""``python -m include.s3_xcom``: the bucket from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from include.s3_xcom import bucket, failures, settings, store
from include.s3_xcom.errors import XComError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :return: the exit code: 0 done, 1 failed, 2 (by argparse) wrong usage
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except XComError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m include.s3_xcom", description="The bucket that holds XComs."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    init = commands.add_parser(
        "init",
        help="create the bucket if it is missing, and put its settings right",
        description="Create the bucket of [s3_xcom] if it is missing; block public access, switch on "
        "default encryption, and have unfinished uploads removed. Safe to repeat.",
    )
    init.set_defaults(run=_init)
    return parser


def _init(options: argparse.Namespace) -> None:
    current = settings.load()
    address = f"s3://{current.bucket}"
    with failures.explained(current, "set up", address):
        for phrase in bucket.ensure(store.client(current), current.bucket, current.prefix):
            print(f"{address}: {phrase}")


if __name__ == "__main__":
    sys.exit(main())
