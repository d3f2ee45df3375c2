"""Files handed from task to task as themselves."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom.codecs.encoded import Encoded
from include.s3_xcom.errors import DiskError, UnsupportedValueError

if TYPE_CHECKING:
    import pandas

    from include.s3_xcom.reference import Reference
    from include.s3_xcom.settings import Settings

CODEC = "file"
CHUNK_BYTES = 1024 * 1024


class File:
    """A file to push, or one that was pushed.

    Return ``File(path)`` from a task: the file is streamed to S3 as it is. The task that pulls it gets
    a ``File`` that has moved no data yet.

    :param path: an existing regular file
    :param delete: remove the file from this machine once it is in S3
    :raises FileNotFoundError: if there is none
    """

    def __init__(self, path: str | os.PathLike[str], *, delete: bool = False) -> None:
        self._path: Path | None = Path(path)
        self._delete = delete
        if not self._path.is_file():
            raise FileNotFoundError(f"File({str(path)!r}): there is no such regular file.")
        self.name = self._path.name
        self.size = self._path.stat().st_size
        self._stored: tuple[Settings, Reference] | None = None

    @classmethod
    def stored(cls, settings: Settings, reference: Reference) -> File:
        """The file that a reference points to; its name is in the reference."""
        file = cls.__new__(cls)
        file._path = None
        file._delete = False
        file._stored = settings, reference
        file.name = safe_name(reference.name or "file")
        file.size = reference.size
        return file

    @property
    def reference(self) -> Reference | None:
        """Where in S3 it is; None if it was not pulled."""
        return self._stored[1] if self._stored is not None else None

    def __repr__(self) -> str:
        return f"File({self.name!r}, {self.size:,} bytes)"

    @contextlib.contextmanager
    def open(self) -> Any:
        """Its bytes as a stream, of which little is in memory at a time.

        :raises StorageError: if S3 does not give them
        """
        if self._path is not None:
            with self._path.open("rb") as stream:
                yield stream
            return
        from include.s3_xcom import reading, transfers

        settings, reference = self._stored
        with (
            transfers.observed("pull", "Read") as transfer,
            reading.opened(settings, reference) as stream,
        ):
            yield stream
            transfer.subject, transfer.size = reference, reference.size

    def pushed(self) -> None:
        """Called when it is in S3."""
        if self._delete:
            self.path.unlink()

    def download(self, to: str | os.PathLike[str]) -> Path:
        """Copy it to a path, or under its own name into a directory. Whole or not at all.

        :return: where it is now
        :raises StorageError: if S3 does not give it
        :raises DiskError: if it cannot be written
        """
        target = Path(to)
        target = target / self.name if target.is_dir() else target
        partial = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
        try:
            with self.open() as source, partial.open("wb") as sink:
                shutil.copyfileobj(source, sink, CHUNK_BYTES)
            partial.replace(target)
        except OSError as error:
            if self.reference is None:
                raise
            raise DiskError(
                f"Cannot keep {self.reference.owner}, {self.reference.address}, as {target}: "
                f"{error.strerror}. Make room for {self.size:,} bytes, or set TMPDIR to where there is some."
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return target

    @property
    def path(self) -> Path:
        """Where it lies on this machine: a private copy, fetched when first asked for.

        The copy is removed together with this object, at the latest with the task's process.
        """
        if self._path is None:
            directory = _private_directory()
            weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
            self._path = self.download(directory / self.name)
        return self._path

    def read_csv(self, **options: Any) -> pandas.DataFrame:
        """Its content by :func:`pandas.read_csv`, read from the stream.

        :param options: those of :func:`pandas.read_csv`
        """
        import pandas

        compression = options.pop("compression", "infer")
        if compression == "infer":
            compression = _COMPRESSIONS.get(Path(self.name).suffix.lower())
        with self.open() as stream:
            return pandas.read_csv(stream, compression=compression, **options)


_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zip": "zip", ".xz": "xz", ".zst": "zstd"}


def encode(file: File) -> Encoded:
    """A file as an object's bytes, streamed.

    :raises UnsupportedValueError: if it is gone since
    """
    try:
        stream: BinaryIO = file.path.open("rb")
    except OSError as error:
        raise UnsupportedValueError(f"the file {file.name!r} cannot be read ({error.strerror})") from None
    size = os.fstat(stream.fileno()).st_size
    words = (suffix(file.name), content_type(file.name), "File", [], safe_name(file.name))
    return Encoded(CODEC, stream, size, *words)


def content_type(name: str) -> str:
    """What a file of a name holds, as far as its name tells."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def safe_name(name: str) -> str:
    """The last part of a name: no step in a path, nothing a terminal would act on."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(c for c in last if c.isprintable())[:200]
    return printable if printable.strip(". ") else "file"


def suffix(name: str) -> str:
    """The suffix of a file's key: its own, if that is a plain one."""
    own = Path(name).suffix.lower()
    return own if own[1:].isalnum() and own.isascii() and len(own) <= 10 else ".bin"


def _private_directory() -> Path:
    """A new directory of this process. Those of processes that are gone are removed.

    A task's process ends without clean-up handlers (os._exit), or by a signal.
    """
    for left in Path(tempfile.gettempdir()).glob("s3_xcom-*-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and not _is_running(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"s3_xcom-{os.getpid()}-"))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True
