"""``python -m include.s3_xcom``: XComs in S3 from the command line."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import logging
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from include.s3_xcom import keys
from include.s3_xcom.admin import preview
from include.s3_xcom.admin.sweep import GRACE_SECONDS, Counts, sweep
from include.s3_xcom.errors import SettingError, XComError
from include.s3_xcom.files import File
from include.s3_xcom.keys import Owner
from include.s3_xcom.notebook import ASKED_AT_ONCE, of_object
from include.s3_xcom.on_airflow import heir, xcom_table
from include.s3_xcom.on_airflow.releases import release
from include.s3_xcom.reference import human_size
from include.s3_xcom.s3 import setup
from include.s3_xcom.s3.errors import translated
from include.s3_xcom.s3.listings import Listed
from include.s3_xcom.s3.parallel import Parallel
from include.s3_xcom.s3.store import Store

EXAMPLES = """\
examples:
  python -m include.s3_xcom init
  python -m include.s3_xcom ls --dag TestDag
  python -m include.s3_xcom show --dag TestDag --run manual__2026-01-01T00:00:00+00:00 --task Get_Data
  python -m include.s3_xcom show s3://xcom/xcom/dag_id=TestDag/... --save rows.parquet
  python -m include.s3_xcom sweep                        # only says what it would delete
  python -m include.s3_xcom sweep --delete --grace 48h
  python -m include.s3_xcom heir                         # after a restore: this database deletes from now on

exit codes: 0 done; 1 failed, or objects could not be deleted; 2 wrong usage; 3 (init) done, but for what
the S3 server lacks
"""

DONE_WITH_GAPS = 3

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute one command.

    :return: the exit code; EXAMPLES lists them
    """
    options = _parser().parse_args(arguments)
    logging.disable(logging.WARNING)  # Airflow logs to standard output, where the answer goes
    try:
        release.prepare_command_line()
        return options.command(options, Store.configured())
    except XComError as error:
        print(f"error: {preview.printable(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. It is safe to start again.", file=sys.stderr)
        return 1
    finally:
        logging.disable(logging.NOTSET)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m include.s3_xcom",
        description="The XComs in S3: settings are those of [s3_xcom] in Airflow's configuration.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, help_: str, description: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_, description=description or f"{help_.capitalize()}.")
        added.set_defaults(command=run)
        return added

    command(
        "init",
        _init,
        "create the bucket if it is missing, and put its settings right",
        "Create the bucket if it is missing; block public access, switch on default encryption, have "
        "unfinished uploads removed, and objects after retention_days. Safe to repeat; other rules stay. "
        f"Exit code 0: done; {DONE_WITH_GAPS}: done, but for what the S3 server lacks; 1: failed.",
    )
    ls = command("ls", _ls, "list the objects, and whether an XCom refers to them")
    _add_ids(ls)
    ls.add_argument(
        "--lost", action="store_true", help="list the XComs whose object is not in the bucket instead"
    )
    _add_output(ls)
    one = command("show", _show, "show the start of one XCom, or save its object")
    one.add_argument("address", nargs="?", help="s3:// address; or give the ids")
    _add_ids(one)
    one.add_argument("--key", default="return_value", help="default: %(default)s")
    one.add_argument("--map-index", type=int, default=-1, help="of a mapped task")
    one.add_argument("--save", metavar="PATH", type=Path, help="copy the object there, as it is; -: print it")
    sweeping = command(
        "sweep",
        _sweep,
        "find the objects that no XCom refers to, and delete them if asked to",
        "Find the objects that no XCom refers to: those of deleted DAGs and runs, of `airflow db clean`, and "
        "of pushes that were rolled back. Safe beside running tasks, and to interrupt.",
    )
    sweeping.add_argument(
        "--delete", action="store_true", help="delete them; otherwise they are only counted"
    )
    sweeping.add_argument(
        "--grace",
        type=_duration,
        default=GRACE_SECONDS,
        metavar="TIME",
        help="leave alone what is younger, such as 90m, 24h or 7d (default: 24h)",
    )
    sweeping.add_argument(
        "--force", action="store_true", help="delete even if the metadata database refers to nothing here"
    )
    _add_output(sweeping)
    command(
        "heir",
        _heir,
        "make this metadata database the one that deletes in the bucket",
        "Make this metadata database the one whose deployment deletes in the bucket, as after it was "
        "restored, moved or promoted. Of a database and its copies only one may: what a copy deletes, the "
        "original still refers to. Objects that only the other database refers to are orphans then, which "
        "the next sweep deletes.",
    )
    return parser


def _add_ids(parser: argparse.ArgumentParser) -> None:
    for name in ("dag", "run", "task"):
        parser.add_argument(f"--{name}", metavar="ID", default="")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", choices=("table", "json", "yaml"), default="table")


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90m, 24h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def _init(options: argparse.Namespace, store: Store) -> int:
    with translated(store.settings, "set up", store.address()):
        done = setup.ensure(store.client, store.settings)
    _claim(store, done)
    for phrase in done.settings:
        print(f"{store.address()}: {phrase}")
    for phrase in done.gaps:
        print(f"{store.address()}: {phrase}", file=sys.stderr)
    return DONE_WITH_GAPS if done.gaps else 0


def _claim(store: Store, done: setup.Done) -> None:
    """Note this database as the one that deletes in the bucket, if none is noted yet."""
    try:
        mine, refusal = heir.identity(), heir.why_not(store)
    except heir.UnknownDatabaseError as error:
        done.gaps.append(str(error))
    except SettingError:
        done.settings.append("the first database that deletes here is noted (none answers this command)")
    else:
        if refusal:
            done.gaps.append(f"NOTHING is deleted. {refusal}")
        else:
            done.settings.append(f"this database deletes here ({mine})")


def _heir(options: argparse.Namespace, store: Store) -> int:
    mine, note = heir.identity(), heir.read(store)
    where = store.root_address
    if note is not None and note.database == mine:
        print(f"{where}: this database deletes here already, since {note.since} ({mine})")
        return 0
    heir.take_over(store, mine)
    print(f"{where}: this database deletes here from now on ({mine})")
    if note is not None and note.database is not None:
        print(
            f"Until now it was another, since {note.since} ({note.database}). Stop its Airflow, or give it "
            "another prefix: its processes delete nothing more once they have started again, and objects "
            "that only its rows refer to are orphans now, which the next sweep here deletes."
        )
    return 0


def _ls(options: argparse.Namespace, store: Store) -> int:
    if options.run and not options.dag:
        raise SettingError("--run needs --dag.")
    if options.lost:
        return _ls_lost(options, store)
    lines: list[dict[str, Any]] = []
    for page in store.list(keys.prefix_of(store.settings, options.dag, options.run)):
        items = [item for item in page if keys.is_key(item.key, store.settings)]
        items = [item for item in items if keys.is_of(item.key, task_id=options.task or None)]
        lines += _describe(items, store)
    _print(lines, options.output)
    return 0


def _ls_lost(options: argparse.Namespace, store: Store) -> int:
    """List the XComs whose object is missing. Rows are read first: a push meanwhile is not reported."""
    held = {
        reference.key: reference
        for reference in xcom_table.all_references(options.dag, options.run)
        if reference.bucket == store.settings.bucket and keys.is_key(reference.key, store.settings)
    }
    for page in store.list(keys.prefix_of(store.settings, options.dag, options.run)):
        for item in page:
            held.pop(item.key, None)
    _print(
        [
            {"object": reference.address, "type": str(reference.info), "pushed": reference.pushed or ""}
            for reference in held.values()
            if keys.is_of(reference.key, task_id=options.task or None)
        ],
        options.output,
    )
    return 0


def _describe(items: list[Listed], store: Store) -> list[dict[str, Any]]:
    known = xcom_table.references_if_known(item.key for item in items)

    def line(item: Listed) -> dict[str, Any]:
        stem = keys.stem_of(item.key)
        reference = (known or {}).get(stem)
        if reference is None or reference.key != item.key:
            reference = of_object(store, item.key)
        columns = {
            "object": store.address(item.key),
            "type": reference.info.type,
            "shape": " x ".join(map(str, reference.info.shape)),
            "size": human_size(item.size),
            "age": str(datetime.timedelta(seconds=int(item.age))),
        }
        if known is not None:
            columns["referenced"] = "yes" if stem in known else "no"
        return columns

    return list(Parallel(line, ASKED_AT_ONCE, ready=len(items)).run(items))


def _show(options: argparse.Namespace, store: Store) -> int:
    if options.address:
        reference = preview.find(store, options.address)
    elif options.dag and options.run and options.task:
        ids = (options.dag, options.run, options.task)
        reference = preview.find_by_ids(Owner(*ids, map_index=options.map_index, key=options.key))
    else:
        raise SettingError("Give the s3:// address of an object, or --dag, --run and --task.")
    file = File.stored(store, reference)
    if options.save == Path("-"):
        with file.open() as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer)
        return 0
    if options.save:
        print(file.download(options.save))
        return 0
    print(preview.printable(reference), file=sys.stderr)
    print(preview.text(store, reference))
    return 0


def _sweep(options: argparse.Namespace, store: Store) -> int:
    orphans: list[dict[str, Any]] = []
    with _progress() as show:

        def found(counts: Counts, latest: list[Listed]) -> None:
            show(f"{counts.objects:,} objects, {counts.orphans:,} without an XCom")
            if not options.delete:
                room = max(0, MAX_LISTED - len(orphans))
                orphans.extend(
                    {"object": store.address(item.key), "size": human_size(item.size)}
                    for item in latest[:room]
                )

        counts = sweep(store, grace=options.grace, delete=options.delete, force=options.force, found=found)
    if orphans and options.output == "table":
        _print(orphans, "table")
        if counts.orphans > len(orphans):
            print(f"... and {counts.orphans - len(orphans):,} more")
    if options.output != "table":
        _print([vars(counts)], options.output)
        return 1 if counts.failed else 0
    print(
        f"{counts.objects:,} objects ({human_size(counts.bytes)}), {counts.young:,} of them younger than the "
        f"grace period; {counts.orphans:,} ({human_size(counts.orphan_bytes)}) without an XCom"
    )
    if options.delete:
        print(f"{counts.deleted:,} deleted" + (f", {counts.failed:,} FAILED" if counts.failed else ""))
    elif counts.orphans:
        print("Nothing was deleted: that takes --delete.")
    if not options.delete and (refusal := _refusal(store)):
        print(refusal)
    return 1 if counts.failed else 0


def _refusal(store: Store) -> str:
    """Return why a sweep would delete nothing; empty if it would delete."""
    try:
        return heir.why_not(store, dry=True)
    except SettingError as error:
        return str(error)


MAX_LISTED = 50
"""Orphans that a dry run names."""


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """Show a moving bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("listing", total=None)
        yield lambda text: progress.update(task, description=text)


def _print(lines: list[dict[str, Any]], output: str) -> None:
    lines = [{name: str(value) for name, value in line.items()} for line in lines]
    if output == "json":
        print(json.dumps(lines))
    elif output == "yaml":
        import yaml

        print(yaml.safe_dump(lines, sort_keys=False, allow_unicode=True), end="")
    elif not lines:
        print("There is nothing.")
    else:
        _print_table([{name: preview.printable(cell) for name, cell in line.items()} for line in lines])


def _print_table(lines: list[dict[str, str]]) -> None:
    """Print each line uncut, however wide: an address that is cut or wrapped cannot be copied."""
    names = list(lines[0])
    widths = {name: max(len(name), *(len(line[name]) for line in lines)) for name in names}
    for line in [dict(zip(names, names)), *lines]:
        print("  ".join(line[name].ljust(widths[name]) for name in names).rstrip())
