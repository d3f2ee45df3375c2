"""Files handed from task to task as they are."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom.codecs import registry
from include.s3_xcom.codecs.codec import BYTES, Attachment, Codec, Encoded
from include.s3_xcom.errors import UnsupportedValueError, XComError
from include.s3_xcom.interruptions import heard
from include.s3_xcom.private_files import disk_errors, new_directory, partial_file
from include.s3_xcom.reference import ObjectInfo

if TYPE_CHECKING:
    import pandas

    from include.s3_xcom.reference import Reference
    from include.s3_xcom.s3.store import Store

CODEC = "file"


class File(Attachment):
    """A file to push, or one that was pushed.

    Return ``File(path)`` from a task: the file is streamed to S3 as it is. The task that pulls it gets
    a ``File`` that has moved no data yet.

    :param path: an existing regular file
    :param delete: remove the file from this machine once its XCom is in the metadata database
    :raises FileNotFoundError: if there is none
    """

    def __init__(self, path: str | os.PathLike[str], *, delete: bool = False) -> None:
        self._path: Path | None = Path(path)
        self._delete = delete
        if not self._path.is_file():
            raise FileNotFoundError(f"File({str(path)!r}): there is no such regular file.")
        self.name = self._path.name
        self.size = self._path.stat().st_size
        self._stored: tuple[Store, Reference] | None = None

    @classmethod
    def stored(cls, store: Store, reference: Reference) -> File:
        """Return the file that a reference points to; its name is in the reference."""
        file = cls.__new__(cls)
        file._path = None
        file._delete = False
        file._stored = store, reference
        file.name = safe_name(reference.info.name or "file")
        file.size = reference.size
        return file

    def __reduce__(self) -> Any:
        if self._stored is None:
            return _local_file, (self._path, self._delete, self.name, self.size)
        from include.s3_xcom.pull import pull_reference

        return pull_reference, (self._stored[1],)

    @property
    def reference(self) -> Reference | None:
        """Reference to the file in S3; None if it was not pulled."""
        return self._stored[1] if self._stored is not None else None

    @property
    def to_delete(self) -> Path | None:
        """File to remove from this machine once the XCom is written."""
        return self._path if self._delete else None

    def __repr__(self) -> str:
        return f"File({self.name!r}, {self.size:,} bytes)"

    @contextlib.contextmanager
    def open(self) -> Any:
        """Open its bytes as a stream that keeps little in memory at a time.

        :raises StorageError: if S3 does not give them, also while they are read
        """
        if self._path is not None:
            with self._path.open("rb") as stream:
                yield stream
            return
        from include.s3_xcom.on_airflow import metrics

        store, reference = self._stored
        transfer = metrics.Transfer(f"{reference.info}, {reference.address}")
        try:
            stream = store.open(reference)
        except XComError:
            metrics.count_error()
            raise
        body = stream.raw
        try:
            with stream:
                yield stream  # an error of the caller's code is neither renamed nor counted
        finally:
            if body.failed:
                metrics.count_error()
            else:
                transfer.size = body.received
                metrics.record("pull", f"Read {transfer.size:,} bytes of", transfer)

    def download(self, to: str | os.PathLike[str]) -> Path:
        """Copy it to a path, or into a directory under its name, whole or not at all.

        :return: path of the copy
        :raises StorageError: if S3 does not give it
        :raises DiskError: if the copy cannot be written
        """
        target = Path(to)
        target = target / self.name if target.is_dir() else target
        with heard(), self._kept_as(target), partial_file(target) as partial:
            if self._path is not None:
                shutil.copyfile(self._path, partial)
            else:
                self._save(partial)
            partial.replace(target)
        return target

    def _kept_as(self, target: Path) -> Any:
        """Raise disk errors as DiskError, which names the XCom and the path; leave those of a local file."""
        if self.reference is None:
            return contextlib.nullcontext()
        return disk_errors(
            f"Cannot keep {self.reference.owner}, {self.reference.address}, as {target}", self.size
        )

    def _save(self, partial: Path) -> None:
        from include.s3_xcom.on_airflow import metrics

        store, reference = self._stored
        with metrics.observed("pull", f"Read {self.size:,} bytes of") as transfer:
            store.save(reference, partial)
            transfer.subject, transfer.size = f"{reference.info}, {reference.address}", self.size

    @property
    def path(self) -> Path:
        """Path on this machine: a private copy, fetched when first asked for.

        The copy is removed together with this object, at the latest when the task's process ends.
        """
        if self._path is None:
            with self._kept_as(Path(self.name)):
                folder = new_directory(self)
            self._path = self.download(folder / self.name)
        return self._path

    def read_csv(self, **options: Any) -> pandas.DataFrame:
        """Read its content from the stream by :func:`pandas.read_csv`.

        :param options: options of :func:`pandas.read_csv`
        """
        import pandas

        compression = options.pop("compression", "infer")
        if compression == "infer":
            compression = _COMPRESSIONS.get(Path(self.name).suffix.lower())
        with self.open() as stream:
            return pandas.read_csv(stream, compression=compression, **options)


def _local_file(path: Path, delete: bool, name: str, size: int) -> File:
    """Rebuild a File that was not pulled. Opening it shows whether the file is there."""
    file = File.__new__(File)
    file._path, file._delete, file._stored = path, delete, None
    file.name, file.size = name, size
    return file


registry.add(Codec(CODEC, "", BYTES, pulled=File.stored))

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zip": "zip", ".xz": "xz", ".zst": "zstd"}


def encode(file: File) -> Encoded:
    """Return a file as an object's bytes, streamed.

    :raises UnsupportedValueError: if the file is gone
    """
    try:
        stream: BinaryIO = file.path.open("rb")
    except OSError as error:
        raise UnsupportedValueError(f"the file {file.name!r} cannot be read ({error.strerror})") from None
    size = os.fstat(stream.fileno()).st_size
    info = ObjectInfo(CODEC, "File", name=safe_name(file.name))
    return Encoded(info, stream, size, suffix(file.name), media_type(file.name))


def media_type(name: str) -> str:
    """Return the media type of a file by its name."""
    return mimetypes.guess_type(name)[0] or BYTES


def safe_name(name: str) -> str:
    """Return the last segment of a name: no step in a path, nothing that a terminal would act on."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(c for c in last if c.isprintable())[:200]
    return printable if printable.strip(". ") else "file"


def suffix(name: str) -> str:
    """Return the suffix of a file's key: that of the file if it is plain."""
    own = Path(name).suffix.lower()
    return own if own[1:].isalnum() and own.isascii() and len(own) <= 10 else ".bin"
