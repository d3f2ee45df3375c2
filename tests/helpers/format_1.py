"""Rows and objects of version 1 of the format, as this code writes them. As a program, on Airflow 2.5.3:

python -m tests.helpers.format_1          writes tests/fixtures/format-1.zip
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).resolve().parents[1] / "fixtures/format-1.zip"

PLAIN: dict[str, Any] = {
    "sequence/items": [{"n": n} for n in range(3000)],
    "sequence/items of all sizes": ["x" * (n * n % 5000) for n in range(300)],
    "compressed/gzip": {"a": list(range(1000))},
    "compressed/zstd": "text" * 1000,
    "inline/dict": {"a": [1, (2,)]},
}
"""Values that are compared as they are, by name."""

SETTINGS = {
    "compressed/gzip": ("COMPRESSION", "gzip"),
    "compressed/zstd": ("COMPRESSION", "zstd"),
    "inline/dict": ("INLINE_MAX_BYTES", "1000"),
}


def values(directory: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is pushed, by name.

    :param directory: for a file
    """
    from include.s3_xcom import File, batches, items, rows
    from tests.helpers import kinds
    from tests.unit.test_mapped import FRAME

    for group, makes in kinds.KINDS.items():
        if group != "Refused":
            yield from ((f"kind/{name}", make) for name, make in makes.items())
    for name, value in PLAIN.items():
        yield name, lambda name=name, value=value: items(value) if name.startswith("sequence") else value
    yield "sequence/rows", lambda: rows(FRAME)
    yield "sequence/batches", lambda: batches(FRAME, 2)
    plain = FRAME.drop(columns="price")  # Decimals, one of which is no number, do not suit all chunks
    yield "sequence/chunks", lambda: batches(iter([plain[:2], plain[2:]]))
    yield "sequence/wide batches", lambda: batches(kinds.wide_frame(), 2)
    yield "sequence/items of bytes", lambda: items([b"a", FRAME, {"frame": FRAME}, "text"])
    (directory / "a.csv").write_text("a,b\n1,2\n")
    yield "file/alone", lambda: File(directory / "a.csv")
    yield "file/in a value", lambda: {"f": [File(directory / "a.csv")]}


def main() -> None:
    from embedded.stack import Stack

    with Stack() as stack, tempfile.TemporaryDirectory() as directory:
        os.environ.update(stack.airflow.environment)
        os.environ["AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES"] = ".*"
        write(stack, Path(directory))


def write(stack: Any, directory: Path) -> None:
    import datetime

    from tests.helpers.outside import bucket_at
    from tests.helpers.task import make_task

    bucket = bucket_at(stack.s3.url, stack.s3.bucket)
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, make) in enumerate(values(directory)):
            setting, value = SETTINGS.get(name, ("COMPRESSION", "none"))
            os.environ[f"AIRFLOW__S3_XCOM__{setting}"] = value
            run_id = f"manual__{number:03d}+00:00"
            task = make_task("a dag", run_id, "task", start + datetime.timedelta(days=number))
            task.push(make())
            del os.environ[f"AIRFLOW__S3_XCOM__{setting}"]
            archive.writestr(f"{name}/row.json", task.row())
            prefix = f"xcom/dag_id=a%20dag/run_id={run_id.replace('+', '%2B').replace(':', '%3A')}/"
            for item in bucket.objects.filter(Prefix=prefix):
                archive.writestr(f"{name}/object/{item.key}", item.get()["Body"].read())


if __name__ == "__main__":
    main()
