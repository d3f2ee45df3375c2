"""Parquet: frames, their columns, columns of Python objects, pyarrow's tables, joined files."""

from include.s3_xcom.codecs import schema_guard

schema_guard.install()
