"""A file in memory that hands out what was written to it, piece by piece."""

from __future__ import annotations

import io


class Sink(io.BytesIO):
    """What writers of whole files write to, while the bytes before are on their way already.

    Positions count from the start of the whole file.
    """

    _taken = 0

    def take(self) -> bytes:
        """What was written since this was called last."""
        data = self.getvalue()
        self._taken += len(data)
        super().seek(0)
        self.truncate()
        return data

    def tell(self) -> int:
        return self._taken + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._taken + super().seek(offset - self._taken, whence)
