"""Parquet: frames, their columns, columns of Python objects, pyarrow's tables, joined files."""
