"""Texts and bytes to show."""

from __future__ import annotations

import codecs

from include.s3_xcom.admin.look.limited import AskedFile
from include.s3_xcom.admin.look.shown import At, Shown
from include.s3_xcom.reference import human_size

CHARACTERS = 20_000
BYTES_A_LINE, LINES = 16, 64


def look(file: AskedFile, at: At) -> Shown:
    """Return what to show of a text."""
    return of_text(*file.head())


def look_at_bytes(file: AskedFile, at: At) -> Shown:
    """Return what to show of bytes."""
    data, is_all = file.head()
    return Shown([_how_much(data, is_all, BYTES_A_LINE * LINES, "bytes")], text=hexadecimal(data))


def of_text(data: bytes, is_all: bool) -> Shown:
    """Return the start of a text to show; of data that is no text, its bytes.

    :param is_all: whether the data is complete
    """
    text = decoded(data, is_all)
    if text is None:
        return Shown(["It is no text in UTF-8."], text=hexadecimal(data))
    notes = [_how_much(text, is_all, CHARACTERS, "characters")]
    return Shown([note for note in notes if note], text=text[:CHARACTERS])


def decoded(data: bytes, is_all: bool) -> str | None:
    """Decode the start of a text in UTF-8, which may be cut within a character; None if it is no text."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=is_all)
    except UnicodeDecodeError:
        return None


def _how_much(data: bytes | str, is_all: bool, limit: int, unit: str) -> str:
    if is_all and len(data) <= limit:
        return ""
    return f"Only its first {min(len(data), limit):,} {unit} are shown."


def hexadecimal(data: bytes) -> str:
    """Return the first bytes as hexadecimal numbers, with printable characters beside them."""
    lines = []
    for start in range(0, min(len(data), BYTES_A_LINE * LINES), BYTES_A_LINE):
        part = data[start : start + BYTES_A_LINE]
        characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):{3 * BYTES_A_LINE - 1}}  {characters}")
    return "\n".join(lines) or human_size(len(data))
