"""Elements of a mapped sequence, read from S3 block by block."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from include.s3_xcom.errors import FormatError, as_pushed, decoding_error
from include.s3_xcom.interruptions import heard
from include.s3_xcom.mapped.ahead import ahead
from include.s3_xcom.mapped.block_check import AlteredError
from include.s3_xcom.mapped.layout import ENTRY_BYTES, Block, Layout, from_entry
from include.s3_xcom.on_airflow import metrics
from include.s3_xcom.reference import Reference, human_size
from include.s3_xcom.s3.errors import altered, located, truncated
from include.s3_xcom.s3.store import Store

# Bytes of blocks that one job loads: below this, handing them to a thread costs more than loading them.
JOB_BYTES = 1024 * 1024

Part = tuple[bytes, int, slice]  # a block's bytes, number of its first element, elements wanted of it

_TOO_FEW = "A block of the object does not hold the elements that it should."


class RemoteElements:
    """The elements of one object.

    :param split: takes the bytes of a block and the number of its first element, returns each element's bytes
    :param load: takes the bytes of an element and its number, returns the element
    """

    def __init__(
        self,
        store: Store,
        reference: Reference,
        split: Callable[[bytes, int], list[bytes]],
        load: Callable[[bytes, int], Any],
    ) -> None:
        self.store = store
        self.reference = reference
        self.layout = Layout.from_json(reference.info.layout)
        self._split = split
        self._load = load
        # The last block is kept, so that consecutive indexes cost no request each. It is kept as bytes, so
        # that changing an element that was read does not change it for the next reader.
        self._kept: tuple[Block, list[bytes]] | None = None

    def __len__(self) -> int:
        return self.layout.length

    def get(self, number: int) -> Any:
        """Read one element by one request, or by two if only the index finds it.

        :raises StorageError: if S3 does not give it
        :raises FormatError: if the object is not in the format its reference says
        """
        with heard(), located(self.reference):
            if self._kept is None or not self._holds(*self._kept, number):
                self._kept = self._fetch(self._find(number))
            block, elements = self._kept
            if not self._holds(block, elements, number):
                raise FormatError(_TOO_FEW)
            return self._load_element(elements[number - block.first], number)

    def span(self, start: int, stop: int) -> Iterator[Any]:
        """Yield elements read by one request, with a few blocks in memory at a time.

        Raises what :meth:`get` raises.
        """
        if start >= stop:
            return
        with located(self.reference), metrics.observed("pull", "Read") as transfer:
            first, last = self._find(start), self._find(stop - 1)
            with self.store.open(self.reference, (first.offset, last.end)) as body:
                for elements in ahead(self._load_all, self._jobs(body, start, stop)):
                    yield from elements
            transfer.size = last.end - first.offset
            transfer.subject = f"{human_size(transfer.size)} of {self.reference.address}"

    def part(self, start: int, stop: int) -> bytes:
        """Read a range of the object. Raises what :meth:`Store.get` raises."""
        with self.store.open(self.reference, (start, stop)) as body:
            return self._read(body, stop - start)

    def _jobs(self, body: BinaryIO, start: int, stop: int) -> Iterator[list[Part]]:
        """Yield jobs, each of as many blocks to load as make handing it to a thread worthwhile."""
        job: list[Part] = []
        size = 0
        for block, numbers in self._blocks(start, stop):
            wanted = slice(numbers.start - block.first, numbers.stop - block.first)
            job.append((self._read(body, block.size), block.first, wanted))
            size += block.size
            if size >= JOB_BYTES:
                yield job
                job, size = [], 0
        if job:
            yield job

    def _load_all(self, job: list[Part]) -> list[Any]:
        return [element for part in job for element in self._load_part(*part)]

    def _load_part(self, data: bytes, first: int, wanted: slice) -> Iterator[Any]:
        elements = self._split_block(data, first)[wanted]
        if wanted.start < 0 or len(elements) != wanted.stop - wanted.start:
            raise FormatError(_TOO_FEW)
        return map(self._load_element, elements, itertools.count(first + wanted.start))

    def _split_block(self, data: bytes, first: int) -> list[bytes]:
        try:
            return self._split(data, first)
        except AlteredError:
            raise altered(self.reference) from None

    def _load_element(self, data: bytes, number: int) -> Any:
        with as_pushed():  # the check of its block shows it
            try:
                return self._load(data, number)
            except AlteredError:
                raise altered(self.reference) from None
            except Exception as error:
                raise decoding_error(error, f"Element {number} cannot be read") from None

    def _holds(self, block: Block, elements: list[bytes], number: int) -> bool:
        return block.first <= number < block.first + len(elements)

    def _find(self, number: int) -> Block:
        block = self.layout.find(number)
        if block is None:
            entry = self.layout.entry(number)
            block = from_entry(self.part(entry, entry + ENTRY_BYTES))
        return block

    def _fetch(self, block: Block) -> tuple[Block, list[bytes]]:
        with metrics.observed("pull", "Read") as transfer:
            data = self.part(block.offset, block.end)
            transfer.size = len(data)
            transfer.subject = f"{human_size(len(data))} of {self.reference.address}"
        return block, self._split_block(data, block.first)

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[Block, range]]:
        """Yield the blocks that hold some elements, with the elements' numbers."""
        while start < min(stop, self.layout.indexed_from):
            block = self.layout.find(start)
            end = min(stop, block.first + block.elements)
            yield block, range(start, end)
            start = end
        if start < stop:
            yield from self._indexed_blocks(start, stop)

    def _indexed_blocks(self, start: int, stop: int) -> Iterator[tuple[Block, range]]:
        where = self.layout.entry(start), self.layout.entry(stop)
        with self.store.open(self.reference, where) as index:
            entries = (self._read(index, ENTRY_BYTES) for _ in range(start, stop))
            for entry, same in itertools.groupby(entries):
                end = start + len(list(same))
                yield from_entry(entry), range(start, end)
                start = end

    def _read(self, body: BinaryIO, size: int) -> bytes:
        data = body.read(size)
        if len(data) != size:
            raise truncated(self.reference, len(data), size)
        return data
