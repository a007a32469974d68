"""An image costs what its area costs."""

from __future__ import annotations

import base64
import struct

import pytest

from toolspend.evidence.image import tokens_of_image

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def encoded(data: bytes) -> str:
    return base64.b64encode(data + bytes(64)).decode()


@pytest.mark.parametrize(
    "data",
    [
        PNG + struct.pack(">II", 1000, 750),
        b"GIF89a" + struct.pack("<HH", 1000, 750),
        b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (999).to_bytes(3, "little") + (749).to_bytes(3, "little"),
        b"RIFF\0\0\0\0WEBPVP8L" + bytes(5) + (999 | 749 << 14).to_bytes(4, "little"),
        b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 1000, 750),
        b"\xff\xd8\xff\xe1" + struct.pack(">H", 20_000) + bytes(19_998) + b"\xff\xc2\x00\x11\x08"
        + struct.pack(">HH", 750, 1000),
    ],
    ids=["png", "gif", "webp-extended", "webp-lossless", "webp", "jpeg-after-metadata"],
)  # fmt: skip
def test_the_size_is_read_from_the_first_bytes(data: bytes) -> None:
    """1,000 by 750 pixels are 1,000 tokens in every format."""
    assert tokens_of_image(encoded(data)) == 1000


def test_large_images_are_scaled_down_first() -> None:
    """3,000 by 1,000 pixels are counted as 1,568 by 522; a large square costs the most there is."""
    assert tokens_of_image(encoded(PNG + struct.pack(">II", 3000, 1000))) == 1568 * 522 // 750
    assert tokens_of_image(encoded(PNG + struct.pack(">II", 9000, 9000))) == 1600
    assert tokens_of_image(encoded(PNG + struct.pack(">II", 2, 2))) == 1


@pytest.mark.parametrize(
    "data", ["", "?", "AAAA", encoded(b"\xff\xd8\xff"), encoded(PNG + bytes(8)), "ÿ" * 99, "a" * 70]
)
def test_what_is_no_image_has_no_size(data: str) -> None:
    """Broken and unknown data says nothing."""
    assert tokens_of_image(data) is None
