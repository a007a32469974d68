"""Whatever a tool returns is shortened or left whole, and nothing raises."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from toolspend.toolkit import ResultStore
from toolspend.toolkit._content import content_of
from toolspend.toolkit.compressor import Compression, compress

ROWS = [{"id": f"ord-{n}", "city": "Porto", "amount": n + 0.5} for n in range(300)]
FAILED = {**ROWS[77], "id": "ord-4711", "city": "failed E77"}


def made(result: Any, max_tokens: int = 300) -> Compression:
    return asyncio.run(compress(result, "tool", max_tokens, task="What of ORD-4711?", store=ResultStore()))


def nested(depth: int) -> Any:
    inner: Any = {"state": "failed E77"}
    for level in range(depth):
        inner = {"level": level, "inner": inner}
    return inner


def circle() -> Any:
    rows: list[Any] = [*ROWS, FAILED]
    rows.append(rows)
    return rows


@pytest.mark.parametrize(
    "result",
    [
        json.dumps([*ROWS, FAILED]).encode("utf-16"),
        memoryview(json.dumps([*ROWS, FAILED]).encode()),
        {(n, "a"): row for n, row in enumerate([*ROWS, FAILED])},
        circle(),
        [*ROWS, {**FAILED, "amount": 10**400}],
        [{"numbers": [10**400] * 300, "state": "ord-4711 failed E77"}],
        "id,city,amount\n1,x,"
        + "y" * 200_000
        + "\n"
        + "\n".join(f"{n},x,{n}" for n in range(300))
        + "\nord-4711,E77,1",
        'id,city,amount\n7,"ord-4711 failed E77,3\n' + "\n".join(f"{n},x,{n}" for n in range(3_000)),
    ],
    ids=["utf-16", "memoryview", "keys of tuples", "a circle", "no measure", "numbers", "a huge cell", "an open quote"],
)
def test_odd_results_are_shortened_like_others(result: Any) -> None:
    """With what failed and what the task named."""
    found = made(result)
    assert found.strategy != "none" and found.tokens_after < found.tokens_before / 3
    assert "E77" in found.text and "ord-4711" in found.text.lower()


@pytest.mark.parametrize("number", ["0.1234567890123456789012345", "1e400", "123456789012345678.25"])
def test_a_number_beyond_a_float_keeps_its_digits(number: str) -> None:
    """Also where all fits: it is a text then, as the number beside it is not the one that was said."""
    for rows in ("", ',{"id":"ord-1","rate":0.5}' * 400):
        text = f'[{{"id":"ord-4711","rate":{number}}}{rows}]'
        assert number in made(text.replace("},{", "},\n{")).text


def test_a_key_that_comes_twice_is_said_twice() -> None:
    """What JSON makes of such an object is one of the two."""
    rows = ",\n".join(f'{{"id":"ord-{n}","state":"open"}}' for n in range(300))
    found = made(f'[{rows},\n{{"id":"ord-4711","state":"failed E77","state":"failed E78"}}]')
    assert "E77" in found.text and "E78" in found.text


def test_what_is_too_deep_for_json_is_cut_where_it_is_marked() -> None:
    """A hundred levels stay."""
    said = content_of(nested(100_000))
    assert isinstance(said, str) and '"level":99950' in said and "\u2026" in said and '"level":99000' not in said
    assert content_of(nested(90)) == json.dumps(nested(90), separators=(",", ":"))


def test_a_negative_budget_is_none_at_all() -> None:
    """What is empty stays empty; of all else only what must stay is left."""
    assert made("", -5).text == ""
    assert made(json.dumps(ROWS), -5).text == made(json.dumps(ROWS), 0).text


def test_an_error_that_is_said_again_in_the_same_words_stays_once() -> None:
    """Different ones stay all."""
    text = "\n".join(f"The weather is fine on day {n}.\nThe pump failed." for n in range(300)) + "\nThe valve failed."
    found = made(text, 200)
    assert found.strategy == "text" and found.tokens_after <= 200
    assert found.text.count("The pump failed.") == 1 and "The valve failed." in found.text


@pytest.mark.parametrize(
    "odd", ["<![foo bar]>", "<![", "<![1]>", "<![if !IE]>", "<!-", "</>", "<?php echo 1", "<!ELEMENT a (b)>"]
)
def test_a_page_with_a_declaration_that_is_none_is_read(odd: str) -> None:
    """Browsers take it for a comment; Python's parser raises."""
    found = made("<html><body>" + f"{odd}<p>Hello world, page 7 is here, and it goes on.</p>" * 300, 200)
    assert found.strategy == "html" and "page 7 is here" in found.text


@pytest.mark.parametrize(
    "open_tag", ["<div ", "<a b='", '<a b="c" ', "<a\n", "<a/", "<!-- ", "</a ", "<!DOCTYPE ", "<p title='x"]
)
def test_tags_that_never_end_take_no_longer_than_others(open_tag: str) -> None:
    """A page that was cut off, or means harm: the parser looked for the end of each in all that follows."""
    page = "<html><body><p>The order ord-4711 failed E77.</p>" + open_tag * 20_000
    started = time.process_time()
    found = made(page)
    assert time.process_time() - started < 5
    assert "E77" in found.text and "ord-4711" in found.text


def test_what_a_cut_page_ends_with_is_read() -> None:
    """The last piece has no tag that ends it, or is long and half a tag."""
    filler = "<p>Hello, page 7 is here.</p>" * 300
    for end in (
        "<p>ord-4711 &amp; more E77",
        "<p>ord-4711 failed E77 <a href='http://x",
        "<!-- ord-4711 " + "<p>x</p>" * 2_000 + "failed E77",
    ):
        found = made(f"<html>{filler}{end}")
        assert "E77" in found.text and "ord-4711" in found.text


def test_what_the_task_named_is_found_wherever_pages_are_cut_for_reading() -> None:
    """Also where no reader sees it, in a template."""
    start = "<html><template>"
    for place in range((1 << 16) - len(start) - 10, (1 << 16) - len(start) + 3, 4):
        filler = ("<i>x</i>" * 10_000)[: place - place % 8]
        found = made(f"{start}{filler}{' ' * (place % 8)}ord-4711{filler}</template><p>Foxes.</p>")
        assert "ord-4711" in found.text


def test_what_is_no_text_of_a_page_is_left_out_and_said() -> None:
    """Menus, addresses and scripts are not in the text, and the whole can be fetched; a bare text lacks none."""
    text = "<p>Foxes, page {n}.</p>"
    store, foxes = ResultStore(), "".join(text.format(n=n) for n in range(5))
    menu, script = "<a href=/home-of-foxes>Home</a>" * 60, "a=1;" * 90
    page = f"<html><nav>{menu}</nav><script>{script}</script><main>{foxes}</main></html>"
    found = asyncio.run(compress(page, "tool", 300, store=store))
    assert "1 menu blocks, 60 link addresses, 360 characters of scripts" in found.left_out
    assert found.handle is not None and store.get(found.handle) == page
    assert all(f"Foxes, page {n}." in found.text for n in range(5))
    bare = asyncio.run(compress(f"<html><main>{'<div>' * 400}{foxes}</main></html>", "tool", 300, store=store))
    assert bare.strategy == "html" and bare.left_out == "" and bare.handle is None


def test_sentences_without_blanks_between_them_are_told_apart() -> None:
    """In Chinese and Japanese: the one that failed stays, and not some six hundred characters around it."""
    calm = "今天天气很好。我们去公园散步。"
    found = made(calm * 300 + "“磁盘已满发生错误 E77。”" + "订单 ord-4711 已取消。" + calm * 300, 200)
    assert {"“磁盘已满发生错误 E77。”", "订单 ord-4711 已取消。"} <= set(found.text.splitlines())
    assert found.tokens_after <= 200
