"""Base of rows and batches: both are made of a frame, and give it back, whole or by columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs import registry
from include.s3_xcom.codecs.codec import PARQUET
from include.s3_xcom.mapped.sequence import Mapped
from include.s3_xcom.s3.errors import located

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset


class OfFrame(Mapped):
    """A sequence that is made of a frame."""

    def to_frame(self, columns: Sequence[Any] | None = None) -> pd.DataFrame:
        """Return the frame with its dtypes and index; chunks are joined.

        If the indexes of chunks are ranges, the rows are numbered from the first chunk to the last.

        :param columns: labels of the columns that are wanted; others are not read. None: all
        :raises KeyError: for a column that does not exist
        :raises StorageError: if S3 does not give it
        """
        labels = _labels(columns)
        if self.stored is None:
            return _chosen(self._frame, labels).copy()
        if labels is None or not self._is_parquet:
            return _chosen(self._whole(), labels)
        from include.s3_xcom.mapped import stored_columns

        with located(self.stored.reference):
            return stored_columns.to_frame(self.stored.store, self.stored.reference, labels)

    def to_arrow(self, columns: Sequence[Any] | None = None) -> pa.Table:
        """Return the columns as a table of pyarrow, in the types they are stored as, without the index.

        Takes and raises what :meth:`to_frame` takes and raises.
        """
        if self.stored is None or not self._is_parquet:
            from include.s3_xcom.codecs.parquet import frames

            frame = self.to_frame(columns)
            table = frames.to_table(frame)
            return table.select(range(frame.shape[1])).replace_schema_metadata(None)
        from include.s3_xcom.mapped import stored_columns

        with located(self.stored.reference):
            labels = _labels(columns)
            return stored_columns.to_arrow(self.stored.store, self.stored.reference, labels)

    def dataset(self) -> pyarrow.dataset.Dataset:
        """Return the stored object as a dataset of pyarrow, from which a query reads only what it needs.

        ``polars.scan_pyarrow_dataset(dataset)`` takes it, and so does DuckDB's ``SELECT ... FROM dataset``.

        :raises TypeError: if the sequence was not pulled
        """
        if self.stored is None:
            raise TypeError("It has no object in S3 yet. Return it from the task, and pull it.")
        from include.s3_xcom.mapped import stored_columns

        with located(self.stored.reference):
            return stored_columns.dataset(self.stored.store, self.stored.reference, self._is_parquet)

    @property
    def _frame(self) -> pd.DataFrame:
        """Frame in this process."""
        if self.stream is not None:
            self.stream.refuse()
        return self._source.frame

    def _whole(self) -> pd.DataFrame:
        """Return the stored frame."""
        raise NotImplementedError

    @property
    def _is_parquet(self) -> bool:
        return registry.find(self.stored.reference.info.codec).media_type == PARQUET


def _labels(columns: Sequence[Any] | None) -> list[Any] | None:
    if isinstance(columns, (str, bytes)):
        raise TypeError("columns takes a list of labels, not one of them.")
    return None if columns is None else list(columns)


def _chosen(frame: pd.DataFrame, labels: list[Any] | None) -> pd.DataFrame:
    from include.s3_xcom.codecs.parquet import indexes

    return frame if labels is None else frame.iloc[:, indexes.positions_of(labels, frame.columns)]
