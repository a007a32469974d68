"""Messages between a process and its child: Python values, and with them a table as Arrow writes it.

Both ends are of this package and one machine, and nobody else can write to the pipe: so the values may be pickled.
"""

from __future__ import annotations

import contextlib
import fcntl
import pickle
import struct
from typing import Any, BinaryIO, Final

import pyarrow as pa

_HEAD: Final = struct.Struct("<QQ")
"""How long the values are, and how long the table is; 0 where there is none."""

_HELD_BYTES: Final = 1 << 20
"""What a pipe holds; Linux lets everyone have so much."""


class Pipe:
    """Two streams of bytes, one each way."""

    def __init__(self, reads: BinaryIO, writes: BinaryIO) -> None:
        self._reads = reads
        self._writes = writes
        for stream in (reads, writes):
            _widen(stream)

    def send(self, *values: Any, table: pa.Table | None = None, is_last: bool = True) -> None:
        """Sends a message; one that is not the last may wait for the next. Raises OSError where nobody reads."""
        said = pickle.dumps(values, pickle.HIGHEST_PROTOCOL)
        held = _written(table) if table is not None else b""
        self._writes.write(_HEAD.pack(len(said), len(held)))
        self._writes.write(said)
        self._writes.write(held)
        if is_last:
            self._writes.flush()

    def receive(self) -> tuple[tuple[Any, ...], Any]:
        """The next message: its values, and its table or None. Raises EOFError where there is none to come."""
        said, held = _HEAD.unpack(self._exactly(_HEAD.size))
        values = pickle.loads(self._exactly(said))  # noqa: S301 - from our own child, or to it
        return values, pa.ipc.open_stream(pa.py_buffer(self._exactly(held))).read_all() if held else None

    def close(self) -> None:
        """Ends both streams."""
        for stream in (self._writes, self._reads):
            try:
                stream.close()
            except OSError:  # what was not sent yet has no reader
                continue

    def _exactly(self, size: int) -> bytes:
        found = self._reads.read(size)
        if len(found) < size:
            raise EOFError
        return found


def _widen(stream: BinaryIO) -> None:
    """Have a pipe hold more, where the system lets it: tables of some MB are else sent 64 KiB at a time."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _HELD_BYTES)


def _written(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return memoryview(sink.getvalue())
