"""Give pyarrow a stored object as a file system, from which datasets read."""

from __future__ import annotations

from typing import Any, NoReturn

import pyarrow as pa
from pyarrow import fs

from include.s3_xcom.codecs import schema_guard
from include.s3_xcom.mapped.stored_columns import fetch_footer
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.ranges import RangedFile
from include.s3_xcom.s3.store import Store

schema_guard.install()


class OneObject(fs.FileSystemHandler):
    """A read-only file system of one object, with the credentials and retries of the store.

    https://arrow.apache.org/docs/python/generated/pyarrow.fs.FileSystemHandler.html
    """

    def __init__(self, store: Store, reference: Reference, is_parquet: bool) -> None:
        self._store = store
        self._reference = reference
        self._is_parquet = is_parquet

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OneObject) and other._reference == self._reference

    __hash__ = None

    def get_type_name(self) -> str:
        return "s3_xcom"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        return [self._info(selector.base_dir)]

    def open_input_file(self, path: str) -> pa.PythonFile:
        if path != self._reference.key:
            raise FileNotFoundError(path)
        file = RangedFile(self._store, self._reference)
        if self._is_parquet:
            fetch_footer(file)
        return pa.PythonFile(file, mode="r")

    open_input_stream = open_input_file

    def _info(self, path: str) -> fs.FileInfo:
        if path != self._reference.key:
            return fs.FileInfo(path, fs.FileType.NotFound)
        return fs.FileInfo(path, fs.FileType.File, size=self._reference.size)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("A stored object can only be read.")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refuse
    move = copy_file = open_output_stream = open_append_stream = _refuse
