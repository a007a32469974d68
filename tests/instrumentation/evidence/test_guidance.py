"""A failure's text is judged by its words, whatever language it is in."""

from __future__ import annotations

import pytest

from toolspend.evidence.guidance import FEW_WORDS, MOST_WORDS, error_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("failed", 0),
        ("Error: request failed with status code 500", 0),
        ("Something went wrong. Please try again later.", 0),
        ("?!", 0),
        ("ValueError: bad date", 3),
        ("no archive named 'x': call list_archives first", 7),
        ("файл не найден, сначала вызовите list_files", 6),
        ("word " * 900, MOST_WORDS),
    ],
)
def test_words_are_counted_and_empty_ones_are_none(text: str, words: int) -> None:
    """Texts of words that say nothing of this failure count as silent."""
    assert error_words(text) == words


def test_where_no_blanks_stand_characters_count() -> None:
    """A sentence of Chinese or Japanese is more than one word, and a short remark is few."""
    assert error_words("找不到该文件。请先调用列表工具") > FEW_WORDS
    assert error_words("ファイルが見つかりません。先に一覧を取得してください") > FEW_WORDS
    assert 0 < error_words("超时") <= FEW_WORDS
