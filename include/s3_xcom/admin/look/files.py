"""Files, shown by what they hold: tables, JSON, texts and images."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

from include.s3_xcom.admin.look import columns, texts, trees
from include.s3_xcom.admin.look.limited import MAX_BYTES, AskedFile
from include.s3_xcom.admin.look.shown import At, Picture, Shown
from include.s3_xcom.errors import FormatError
from include.s3_xcom.reference import human_size

_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""First bytes of each type of image. SVG is left out: browsers run the code in it."""

_SEPARATORS = {".csv": ",", ".tsv": "\t"}

_RESERVED_BYTES = 64 * 1024
"""Bytes kept for the other reads of the same look."""


def look(file: AskedFile, at: At) -> Shown:
    """Return what to show of a file."""
    suffix = PurePosixPath(file.reference.info.name or "").suffix.lower()
    if suffix == ".parquet":
        from include.s3_xcom.admin.look import tables

        return tables.look(file, at)
    data, is_all = file.head()
    kind = _image_type(data)
    if kind is not None:
        return _look_at_image(file, kind)
    if suffix in _SEPARATORS:
        return _look_at_csv(data, is_all, _SEPARATORS[suffix], at)
    if suffix == ".json" and is_all:
        return trees.of_json(data, "json")
    return texts.of_text(data, is_all)


def _image_type(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _IMAGES.items() if data.startswith(magic)), None)


def _look_at_image(file: AskedFile, media_type: str) -> Shown:
    largest = MAX_BYTES - _RESERVED_BYTES
    if file.size() > largest:
        return Shown([f"An image of more than {human_size(largest)} is not shown here. Download it."])
    return Shown(picture=Picture(media_type, file.part(0, file.size()), file.reference.info.name or ""))


def _look_at_csv(data: bytes, is_all: bool, separator: str, at: At) -> Shown:
    text = texts.decoded(data, is_all)
    if text is None or "\0" in text:
        return texts.of_text(data, is_all)
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=separator))
    except csv.Error:
        return texts.of_text(data, is_all)
    lines = [line for line in (lines if is_all else lines[:-1]) if line]
    if len(lines) < 2:
        return texts.of_text(data, is_all)
    labels, rows = lines[0], lines[1:]
    labels += [""] * (max(map(len, rows)) - len(labels))
    at = at.within(len(rows), len(labels))
    wanted = at.columns(len(labels))
    cells = [[row[i] if i < len(row) and row[i] else None for row in rows[at.row :]] for i in wanted]
    numbers = ("", range(at.row, len(rows)))
    values = columns.Values([(labels[i], "", column) for i, column in zip(wanted, cells)], [numbers])
    notes = [] if is_all else ["Only its beginning is shown: it is long."]
    return Shown(notes, table=columns.table(values, at, len(rows), len(labels)))


def look_at_archive(file: AskedFile, at: At) -> Shown:
    """Return what to show of a ZIP archive: a value that holds frames, arrays or much binary data."""
    from include.s3_xcom.admin.look.limited import WHOLE_BYTES
    from include.s3_xcom.admin.look.values import of_value
    from include.s3_xcom.codecs import bundle, decode

    if file.size() > WHOLE_BYTES:
        return _members(file)
    body = file.part(0, file.size())
    try:
        return of_value(decode("zip", body, trees.file_within), at)
    except FormatError:
        return trees.of_json(bundle.read(body)[0], "tagged")


def _members(file: AskedFile) -> Shown:
    """List the members of an archive from the directory at its end."""
    import zipfile

    try:
        file.part(max(0, file.size() - _RESERVED_BYTES), file.size())
        with zipfile.ZipFile(file) as archive:
            members = [(info.filename, f"{info.file_size:,} bytes") for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FormatError(f"The stored archive cannot be read ({type(error).__name__}).") from None
    children = trees.of_several(members)
    note = "The value holds frames, arrays or bytes, which are too large together; these are the parts of it."
    return Shown(
        [note], tree=trees.Node("", f"{len(members):,} parts", children, len(members) - len(children))
    )
