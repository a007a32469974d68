"""Frames survive damage at any byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolspend._frames import MAGIC, Damage, Frame, encode, frames

payloads = st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 2**32 - 1)), min_size=1, max_size=6)


def whole(data: bytes, offset: int = 0) -> list[tuple[bytes, int]]:
    return [(item.payload, item.dropped) for item in frames(data, offset) if isinstance(item, Frame)]


def covered(data: bytes) -> bool:
    end = 0
    for item in frames(data):
        if item.start != end:
            return False
        end = item.end
    return end == len(data)


@given(payloads)
def test_what_is_written_is_read(given_frames: list[tuple[bytes, int]]) -> None:
    """Every payload and dropped count comes back, in order, from the start or from the end of any frame."""
    data = b"".join(encode(payload, dropped) for payload, dropped in given_frames)
    assert whole(data) == given_frames
    offset = 0
    for index, (payload, _) in enumerate(given_frames):
        assert whole(data, offset) == given_frames[index:]
        offset += len(encode(payload))


@given(payloads, st.data())
def test_a_torn_tail_costs_only_the_last_frame(given_frames: list[tuple[bytes, int]], data: st.DataObject) -> None:
    """Cut at any byte, every frame before the cut is read, and the rest is a tail."""
    encoded = [encode(payload, dropped) for payload, dropped in given_frames]
    file = b"".join(encoded)
    cut = data.draw(st.integers(0, len(file)))
    kept, end = 0, 0
    while kept < len(encoded) and end + len(encoded[kept]) <= cut:
        end += len(encoded[kept])
        kept += 1
    items = list(frames(file[:cut]))
    assert whole(file[:cut]) == given_frames[:kept]
    if cut > end:
        last = items[-1]
        assert isinstance(last, Damage)
        assert last.is_tail
        assert (last.start, last.end) == (end, cut)
    assert covered(file[:cut])


@given(payloads, st.data())
def test_a_changed_byte_costs_only_its_frame(given_frames: list[tuple[bytes, int]], data: st.DataObject) -> None:
    """With any one byte changed, every other frame is read as it was written."""
    encoded = [encode(payload, dropped) for payload, dropped in given_frames]
    file = bytearray(b"".join(encoded))
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= data.draw(st.integers(1, 255))
    hit, end = 0, len(encoded[0])
    while at >= end:
        hit += 1
        end += len(encoded[hit])
    assert whole(bytes(file)) == given_frames[:hit] + given_frames[hit + 1 :]
    assert covered(bytes(file))


@given(payloads, st.binary(min_size=1, max_size=80))
def test_rubbish_between_frames_is_passed_over(given_frames: list[tuple[bytes, int]], rubbish: bytes) -> None:
    """Bytes of any kind between frames, also ones that look like a header, cost no frame."""
    for inserted in (rubbish, MAGIC + rubbish, MAGIC + b"\xff" * 12 + rubbish, encode(rubbish + b"\0")[:-1]):
        data = inserted.join(encode(payload, dropped) for payload, dropped in given_frames)
        assert whole(data) == given_frames
        assert covered(data)


def test_damage_says_what_it_is() -> None:
    """Each kind of damage has a reason of its own."""
    frame = encode(b"payload")
    cases = {
        b"xxxx" + frame: "not the start of a frame",
        frame[:3]: "cut off within a frame's header",
        frame[:-1]: "a frame of 7 bytes is cut off",
        frame[:-1] + b"?": "a frame's checksum does not match",
    }
    for data, reason in cases.items():
        [damage, *_] = frames(data)
        assert isinstance(damage, Damage)
        assert damage.reason == reason
