"""Find out whether the log of the catalog is damaged: SQLite believes it up to its first broken frame, and says nothing of the rest.

The last transaction may be torn by a power cut, before it was acknowledged. Only what has another one behind it was whole once. Reads
only, and believes nothing. Source: https://sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
from io import BufferedReader
from pathlib import Path

from holdfast.storage.confine import open_within

_HEADER = 32
_FRAME = 24
_MAGIC = (0x377F0682, 0x377F0683)
_PAGES = {2**power for power in range(9, 17)}
_PAGE = 4096
_NO_SUM = (0, 0)

Sums = tuple[int, int]
"""A checksum of the log."""


def find_break(log: Path) -> int | None:
    """Return the byte from which on a log is not believed although more was committed behind it; None if all is well.

    Parameters
    ----------
    log : Path
        May be missing. A session may write to it, if the caller holds a snapshot of its database.

    Raises
    ------
    InvalidData, OSError
        It is no file, or cannot be read.
    """
    try:
        with open_within(log.parent, (log.name,)) as stream:
            found = _find(stream)
            return found if found is None or found == _find(stream) else None  # else it was a frame being written
    except FileNotFoundError:
        return None


def _find(stream: BufferedReader) -> int | None:
    stream.seek(0)
    header = stream.read(_HEADER)
    if len(header) < _HEADER or not any(header):
        return None
    magic, _, page = struct.unpack_from(">3I", header)
    order = ">" if magic & 1 else "<"
    total = _sum(header[:_FRAME], order, _NO_SUM)
    if magic not in _MAGIC or page not in _PAGES or total != struct.unpack_from(">2I", header, _FRAME):
        return 0 if _holds_commit(stream, header) else None
    place, salts = _HEADER, header[16:24]  # frames with others are left from before the log began anew
    while len(frame := stream.read(_FRAME + page)) == _FRAME + page:
        expected = _continue(frame, order, total)
        if frame[8:16] != salts or expected != _stated(frame):
            return place if _is_continued(stream, frame, salts, expected, order) else None
        total, place = expected, place + len(frame)
    return None


def _is_continued(stream: BufferedReader, frame: bytes, salts: bytes, expected: Sums, order: str) -> bool:
    """Return whether behind a frame that is not believed one transaction follows on another, of which the first had been whole then.

    Each frame carries on the sum of the one before it. What a transaction has left that was never committed, and that was written over
    in part, does not: it is no damage.
    """
    sums = {expected, _stated(frame)}  # the frame may be broken, or its sum
    while len(behind := stream.read(len(frame))) == len(frame):
        is_next = behind[8:16] == salts and any(_continue(behind, order, total) == _stated(behind) for total in sums)
        if is_next and _commits(frame):
            return True
        frame, sums = behind, {_stated(behind)}
    return False


def _holds_commit(stream: BufferedReader, header: bytes) -> bool:
    """Return whether something was committed behind a broken header; if not, it was torn when the log began, or began anew."""
    while len(frame := stream.read(_FRAME + _PAGE)) == _FRAME + _PAGE:
        is_ours = frame[8:12] == header[16:20] or frame[12:16] == header[20:24]
        if is_ours and _commits(frame):
            return True
    return False


def _commits(frame: bytes) -> bool:
    """Return whether a frame is the last of its transaction."""
    return bool(struct.unpack_from(">I", frame, 4) != (0,))


def _stated(frame: bytes) -> Sums:
    """Return the sum that a frame carries."""
    one, two = struct.unpack_from(">2I", frame, 16)
    return one, two


def _continue(frame: bytes, order: str, total: Sums) -> Sums:
    """Return the sum that a frame has to carry behind one that carries `total`."""
    return _sum(frame[_FRAME:], order, _sum(frame[:8], order, total))


def _sum(data: bytes, order: str, total: Sums) -> Sums:
    one, two = total
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two
