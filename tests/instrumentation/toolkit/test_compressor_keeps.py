"""Errors and what the task named are never lost, whatever the kind of content and however small the budget."""

from __future__ import annotations

import asyncio
import json

import pytest

import standin
from toolspend.toolkit import ResultStore
from toolspend.toolkit.compressor import Compression, compress
from toolspend.toolkit.compressor._focus import is_error

TASK = "What became of ORD-4711?"
PARAGRAPHS = "".join(f"<p>In {n} it rained {n * 7.5} mm on the hills of the north.</p>" for n in range(300))
QUIET_ROWS = {f"rec-{n}": {"city": "Porto", "amount": n + 0.5, "state": "ok"} for n in range(600)}


def made(text: str, max_tokens: int = 200, task: str | None = TASK) -> Compression:
    found = asyncio.run(compress(text, "tool", max_tokens, task=task, store=ResultStore()))
    assert found.strategy != "none"
    return found


def page(extra: str, head: str = "<head><title>Rain</title></head>") -> str:
    return f"<!doctype html><html>{head}<body>{extra}{PARAGRAPHS}</body></html>"


def test_a_page_whose_head_does_not_end_is_read() -> None:
    """`</head>` is optional."""
    found = made(page("<h1>Floods</h1>", "<head><meta charset=utf-8><title>Rain</title>"))
    assert found.strategy == "html"
    assert "# Floods" in found.text and "# Rain" in found.text and "it rained" in found.text


@pytest.mark.parametrize("tag", ["header", "form", "aside", "nav", "footer"])
def test_errors_around_a_page_stay(tag: str) -> None:
    """What stands there and says nothing of the kind goes."""
    found = made(page(f"<{tag}><a>Home</a><p>Payment failed with E77</p></{tag}>"))
    assert "Payment failed with E77" in found.text and "Home" not in found.text


@pytest.mark.parametrize(
    "element",
    [
        '<a href="/orders/ORD-4711">open</a>',
        '<nav><a href="/orders/ORD-4711">open</a></nav>',
        '<input name="order" value="ORD-4711">',
        "<select><option>ORD-1</option><option>ORD-4711</option></select>",
        '<select><option value="ORD-4711">the second</option></select>',
        '<script>{"orders": ["ORD-4711"]}</script>',
        "<!-- made for ORD-4711 -->",
    ],
)
def test_a_named_id_stays_where_no_reader_of_the_page_sees_it(element: str) -> None:
    """In an attribute, an option, a script or a comment."""
    assert "ORD-4711" in made(page(element)).text
    assert "ORD-1" not in made(page(element), task=None).text


@pytest.mark.parametrize("start", ["<select><option>one", "<svg><path>"])
def test_a_page_is_read_though_an_element_is_not_closed(start: str) -> None:
    """Neither a choice nor a drawing holds paragraphs."""
    found = made(page(f"{start}<p>Payment failed with E77</p>"))
    assert "Payment failed with E77" in found.text and "it rained" in found.text


def test_indented_lines_after_a_repeated_form_are_looked_at() -> None:
    """An error and a named id among them stay, the rest goes."""
    lines = []
    for n in range(300):
        lines += [f"2026-11-02T10:00:{n % 60:02d}Z INFO worker {n} done", f"    in step {n}"]
        lines += {200: ["    but the disk refused to write E88"], 250: ["    for ORD-4711"]}.get(n, [])
    found = made("\n".join(lines), 100)
    assert found.strategy == "log"
    assert "refused to write E88" in found.text and "for ORD-4711" in found.text and "in step 7" not in found.text


def test_a_stack_trace_keeps_what_must_stay_in_its_middle() -> None:
    """A named id, and every line about an error."""
    frames = [f'  File "job.py", line {n}, in step' for n in range(60)]
    frames[9] = "    order = ORD-4711"
    frames[12:18] = [f"    rollback of part {name} failed" for name in "ABCDEF"]
    frames[50] = "    the bank refused"
    head = [f"2026-11-02T10:00:{n % 60:02d}Z INFO worker {n} done" for n in range(200)]
    found = made("\n".join([*head, "2026-11-02T10:09:00Z WARN job stopped", *frames]), 100)
    for kept in ("ORD-4711", *(f"part {name} failed" for name in "ABCDEF"), "the bank refused"):
        assert kept in found.text
    assert "line 30," not in found.text


@pytest.mark.parametrize("lead", range(580, 602))
def test_no_cut_through_a_long_sentence_parts_what_the_task_named(lead: int) -> None:
    """Wherever the id stands, with blanks around it or without any in reach."""
    for filler in ("lorem ipsum ", "lorem-ipsum-"):
        start = (filler * 60)[:lead]
        text = f"{start} ORD-4711 {filler * 300}" if " " in filler else f"{start}/ORD-4711/{filler * 300}"
        assert "ORD-4711" in made(text, 60).text


@pytest.mark.parametrize("lead", range(560, 620))
def test_no_cut_parts_an_error_from_what_it_says(lead: int) -> None:
    """The code after the word stays with it."""
    assert "failed with E77" in made("\u6c34" * lead + " it failed with E77 " + "\u6c34" * 4_000, 60).text


@pytest.mark.parametrize(
    "text",
    [
        "pump 0 failed", "worker-0 failed", "node/0 failed", "version 1.0 failed", "disk 0 error", "test 0 failed",
        "error: null pointer", "error: nonexistent file", "error rate: 0.5, errors: 0.5",
    ],
)  # fmt: skip
def test_a_number_that_is_another_words_counts_no_errors(text: str) -> None:
    """What failed is the pump."""
    assert is_error(text)


@pytest.mark.parametrize(
    "text",
    [
        "0 failed", "12 passed, 0 failed", "12 passed 0 failed", "INFO 0 failed", "with 0 errors", "build: 0 errors",
        "failed: 0", "failed=0", '"errors": 0', "error=null user=x", '"error": null', "errors: none",
        "no errors", "(0 failed)",
    ],
)  # fmt: skip
def test_a_count_of_none_is_no_error(text: str) -> None:
    """Nothing failed."""
    assert not is_error(text)


def test_a_named_key_stays() -> None:
    """Deep down, with whatever value, and in rows that nearly all lack it."""
    deep: object = {"ORD-4711": {"a": []}}
    for level in range(12):
        deep = {"level": level, "inner": deep, "fill": ["x" * 50 + str(n) for n in range(20)]}
    assert "ORD-4711" in made(json.dumps(deep)).text
    assert '"errors":[' in made(json.dumps(deep).replace('"ORD-4711": {"a": []}', '"errors": [[5]]')).text
    rows = [{"id": n, "city": "Porto", "amount": n + 0.5} for n in range(300)]
    for value in (None, 0, "", "paid", {"state": "paid"}):
        rows[170]["ORD-4711"] = value
        assert "ORD-4711" in made(json.dumps(rows)).text
    unlike = [{f"k{n}": "word " * 9, f"m{n}": n} for n in range(200)]
    unlike[120]["ORD-4711"] = 0
    assert "ORD-4711" in made(json.dumps(unlike)).text


def test_code_keeps_the_lines_that_speak_of_errors_or_are_named() -> None:
    """But no exception's name is an error."""
    code = "\n\n".join(
        f"def f{n}(a):\n    try:\n        b = a + {n}\n    except ValueError:\n        b = 2\n    return b"
        for n in range(90)
    )
    code = code.replace("a + 44", 'a + 44\n        log.error("connection refused ERR99")')
    code = code.replace("a + 55", "a + orders['ORD-4711']")
    found = made(code, 250)
    assert found.strategy == "code"
    assert "connection refused ERR99" in found.text and "ORD-4711" in found.text
    assert "except ValueError" not in found.text


@pytest.mark.parametrize(
    "said",
    ["The write failed: disk quota exhausted on zz9.", "ValueError: volume zz9 is full", "panic: volume zz9 gone",
     "src/main.rs:12:5: error: volume zz9 is not in scope", "error[E0425]: cannot find volume zz9"],
)  # fmt: skip
def test_what_a_program_said_stays_among_its_source(said: str) -> None:
    """A message of a compiler or an exception is no line of code, wherever it stands."""
    code = "\n".join(f"def f{n}(a):\n    b = a + {n}\n    if b:\n        c = work(b)\n    return c" for n in range(90))
    for place in (0, len(code) // 2, len(code)):
        head, _, tail = code[place:].partition("\n")
        found = made(f"{code[:place]}{head}\n{said}\n{tail}", 150)
        assert (found.strategy, said in found.text) == ("code", True)


@pytest.mark.parametrize(
    "said",
    ["Fehler: Verbindung zu Knoten zz9 verweigert.", "Die Anmeldung an zz9 ist fehlgeschlagen.",
     "Erreur de connexion sur zz9.", "L'\u00e9chec de zz9.", "El fallo de zz9.", "Errores en zz9.",
     "A tarefa zz9 falhou.", "\u041e\u0448\u0438\u0431\u043a\u0430 zz9.",
     "\u8fde\u63a5 zz9 \u5931\u8d25", "zz9 \u306e\u30a8\u30e9\u30fc"],
)  # fmt: skip
def test_errors_in_other_languages_stay(said: str) -> None:
    """In German, French, Spanish, Portuguese, Russian, Chinese and Japanese; what says that there is none need not."""
    around = [f"Nr. {n} steht hier, und es ist alles in Ordnung mit ihr." for n in range(300)]
    assert said in made("\n".join([*around[:99], said, *around[99:]]), 60).text
    none = "Es gibt keine Fehler bei zz9, sagt der Bericht."
    assert none not in made("\n".join([*around[:99], none, *around[99:]]), 60).text


def test_an_error_stays_where_a_row_has_more_cells_than_the_header() -> None:
    """And enough of what stands around it, however short the other cells become."""
    rows = [f"{n},fine,{n * 7}" for n in range(300)]
    rows[140] = "140,the write to the primary volume failed,0,which was an error of the quota of zz9"
    found = made("\n".join(["id,state,size", *rows]), 120)
    assert found.strategy == "table"
    assert "the write to the primary volume failed" in found.text and "an error of the quota of zz9" in found.text


FACTS_IN_BODIES = {
    "python": (
        "def f{n}(a):\n    b = a + {n}\n    if b:\n        c = work(b)\n{fact}\n        c = more(c)\n    return c\n\n",
        "        {}",
    ),
    "c": (
        "static int f{n}(int a) {{\n    int b = a + {n};\n    if (b) {{\n        b = work(b);\n{fact}\n    }}\n"
        "    return b;\n}}\n\n",
        "        {};",
    ),
}


@pytest.mark.parametrize(("form", "line"), FACTS_IN_BODIES.values(), ids=FACTS_IN_BODIES)
@pytest.mark.parametrize(
    "fact",
    [
        'key("9f86d081-88ab-4c0e-9d15-0c1ad5a3f1b2")', 'ref = "9f86d081884c7d65"', 'see("OPS-4711")', 'see("AC471100")',
        'url = "https://docs.example.org/rates"', 'to("ops@example.org")', "wait = 86_400", "rate = 0.0725",
        "return 417.5", "mask = 0xDEADBEEF", 'since("2026-11-02")', 'want("v2.31.4")', 'host("10.0.4.17")',
        'name = "cust_4f2a91"', 'throw("no seats")',
    ],
)  # fmt: skip
def test_a_fact_in_a_functions_body_stays(form: str, line: str, fact: str) -> None:
    """Ids, figures, addresses, and what is raised in words, though no task names them."""
    code = "".join(form.format(n=n % 10, fact=line.format(fact if n == 41 else "c = less(c)")) for n in range(90))
    found = made(code, 300)
    assert found.strategy == "code" and found.tokens_after <= 300
    assert fact in found.text


@pytest.mark.parametrize("fact", ["return a['X-Request-Id']", "return 'it is closed'", "assert a, 'it is closed'"])
def test_a_text_in_a_body_goes_before_other_lines(fact: str) -> None:
    """Where the outline leaves room."""
    code = "".join(f"def f{n}(a):\n    b = a + {n % 10}\n    c = work(b)\n    return c\n\n" for n in range(40))
    code = code.replace("b = a + 1\n", f"{fact}\n", 1)
    found = made(code, 580)
    assert found.strategy == "code" and "def f39(a)" in found.text
    assert fact in found.text and found.text.count("c = work(b)") < 8


def test_the_outline_stays_among_more_facts_than_fit() -> None:
    """A long table of figures takes no more than its share; what comes again counts once."""
    table = "".join(f"    rates.append(({n * 7919}, {n}.25))\n" for n in range(100, 400))
    again = "".join(f"def g{n}(a):\n    b = wait(a, 31_557)\n    return b\n\n" for n in range(16))
    found = made(f"def fill(rates):\n{table}\n\n{again}", 600)
    assert found.strategy == "code" and found.tokens_after <= 600
    assert all(f"def g{n}(a)" in found.text for n in range(16)) and "rates.append" in found.text
    assert found.text.count("31_557") == 1


def test_all_that_the_model_lost_comes_back() -> None:
    """A hundred different errors, and an id that only looks as if it were there."""
    words = " ".join(f"On day {n} the station counted {n * 37 % 911} birds of kind K{n}X." for n in range(900))
    errors = " ".join(f"Sensor {n} failed with E{n}00." for n in range(100, 200))
    text = f"{words} {errors} The ring ORD-4711 was found."
    api = standin.Api([standin.say("Birds were counted. ORD-47112 was seen.")])
    found = asyncio.run(
        compress(
            text,
            "tool",
            300,
            task=TASK,
            model="claude-haiku-4-5",
            client=standin.async_client(api),
            store=ResultStore(),
        )
    )
    assert found.strategy == "model"
    assert all(f"failed with E{n}00." in found.text for n in range(100, 200))
    assert "ring ORD-4711 was" in found.text


def test_an_object_that_is_a_map_is_sampled_as_rows() -> None:
    """Records by id and a flat map: a table with the key; the failed and the named entries stay."""
    records = json.loads(json.dumps(QUIET_ROWS))
    records["rec-321"]["state"] = "failed E66"
    records["ORD-4711"] = {"city": "Porto", "amount": 3.5, "state": "ok"}
    found = made(json.dumps({"page": 3, "orders": records}), 300)
    assert found.tokens_after <= 300
    assert '"page":3' in found.text and "601 rows" in found.text and "city=Porto" in found.text
    assert "rec-321," in found.text and "failed E66" in found.text and "ORD-4711," in found.text
    scalars: dict[str, object] = {f"key-{n}": n + 0.5 for n in range(3_000)}
    found = made(json.dumps({**scalars, "ORD-4711": 8}), 300)
    assert found.tokens_after <= 300 and "ORD-4711,8" in found.text
    found = made(json.dumps({**dict.fromkeys(scalars, "fine"), "key-77": "refused"}), 300)
    assert found.tokens_after <= 300 and "key-77,refused" in found.text


def test_maps_with_gaps_and_maps_of_short_lists_are_sampled() -> None:
    """Some records are null; points are one value each."""
    gaps = {f"rec-{n}": {"amount": n + 0.5, "state": "ok"} if n % 9 else None for n in range(600)}
    found = made(json.dumps({**gaps, "ORD-4711": None}), 300)
    assert found.tokens_after <= 300 and "ORD-4711," in found.text and "601 rows" in found.text
    points = {f"rec-{n}": [n, n + 1] for n in range(600)}
    found = made(json.dumps({**points, "ORD-4711": [7, 9]}), 300)
    assert found.tokens_after <= 300 and 'ORD-4711,"[7,9]"' in found.text


def test_a_record_of_many_unlike_fields_is_no_map() -> None:
    """It keeps its keys."""
    record = {f"field_{n}": n if n % 2 else f"word {n}" for n in range(30)} | {"long": "lorem ipsum " * 900}
    found = made(json.dumps(record), 250)
    assert '"field_29":29' in found.text and "rows" not in found.text
