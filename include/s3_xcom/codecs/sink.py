"""A file in memory that hands out its content in pieces while it is written."""

from __future__ import annotations

import io


class Sink(io.BytesIO):
    """A file to write to, whose first bytes can be sent while the next are being written.

    Positions count from the start of the whole file.
    """

    _taken = 0

    def take(self) -> bytes:
        """Return the bytes written since the last call."""
        data = self.getvalue()
        self._taken += len(data)
        super().seek(0)
        self.truncate()
        return data

    def tell(self) -> int:
        return self._taken + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._taken + super().seek(offset - self._taken, whence)
