"""Dated prices by rate and tier, the names that models go by, and the user's own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price

from toolspend_ingest import Store, prices
from toolspend_ingest.errors import PricesInvalid
from toolspend_ingest.price_overrides import Override, read_overrides
from toolspend_ingest.prices import PriceBook

AT = datetime(2026, 11, 1)


def rate_of(store: Store, price_model: str, rate: str, at: datetime, prompt: int) -> list[tuple[Decimal, str]]:
    """The price that holds, as the table says it: the highest tier below the prompt's size."""
    provider, model = price_model.split("/", 1)
    found = store.cursor().execute(
        "select usd_per_mtok, source from prices where provider = ? and model = ? and rate = ? "
        "and (tier_start_tokens = 0 or tier_start_tokens < ?) "
        "and (valid_from is null or valid_from <= ?) and (valid_to is null or valid_to > ?) "
        "order by tier_start_tokens desc limit 1",
        [provider, model, rate, prompt, at, at],
    )
    return found.fetchall()


@pytest.mark.parametrize(
    ("provider", "name", "expected"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("anthropic", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/"),
        ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "google/claude-sonnet-4-5"),
        ("gcp.gen_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("openai", "gpt-4o-2024-08-06", "openai/gpt-4o"),
        (None, "claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
        ("anthropic", "claude-unheard-of-9", None),
        ("anthropic", None, None),
        ("a-new-provider", "claude-haiku-4-5", None),
    ],
)
def test_names_of_models_lead_to_their_prices(
    store: Store, provider: str | None, name: str | None, expected: str | None
) -> None:
    """Bedrock's and Vertex's ids name the same models at those sellers' prices; the unknown has no price."""
    found = PriceBook(store.cursor()).price_model(provider, name)
    assert found is None if expected is None else found is not None and found.startswith(expected)


def test_a_bedrock_id_names_the_same_model(store: Store) -> None:
    """The seller's list has its own price for the model, with all rates."""
    found = PriceBook(store.cursor()).price_model("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert found is not None and "claude-sonnet-4-5" in found
    for rate in ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output"):
        assert rate_of(store, found, rate, AT, 1000)


@pytest.mark.parametrize(("prompt", "expected"), [(199_999, "3"), (200_000, "3"), (200_001, "6")])
def test_the_long_context_price_begins_above_its_start(store: Store, prompt: int, expected: str) -> None:
    """At exactly 200,000 tokens the lower tier holds, for all tokens, as the price list itself computes it."""
    ((price, _),) = rate_of(store, "anthropic/claude-sonnet-4-5", "input", AT, prompt)
    assert price == Decimal(expected)
    listed = calc_price(Usage(input_tokens=prompt, output_tokens=0), "claude-sonnet-4-5", provider_id="anthropic")
    assert listed.input_price == price * prompt / 1_000_000


def test_every_rate_of_a_model_is_there(store: Store) -> None:
    """A 5-minute write is the list's cache write; a web search is priced by the million."""
    found = {rate: rate_of(store, "anthropic/claude-haiku-4-5", rate, AT, 1)[0][0] for rate in prices.RATES}
    assert found == {
        "input": Decimal(1),
        "cache_read": Decimal("0.1"),
        "cache_write_5m": Decimal("1.25"),
        "cache_write_1h": Decimal(2),
        "output": Decimal(5),
        "fee": Decimal(10_000),
    }


def test_a_tier_has_its_own_price_or_none(store: Store) -> None:
    """Batch and fast are priced where the list has them; a tier without a known price is not priced as another."""
    book = PriceBook(store.cursor())
    assert book.price_model("anthropic", "claude-haiku-4-5", "standard") == "anthropic/claude-haiku-4-5"
    assert book.price_model("anthropic", "claude-haiku-4-5", "batch") == "anthropic/claude-haiku-4-5 (batch)"
    assert book.price_model("anthropic", "claude-opus-4-8", "fast") == "anthropic/claude-opus-4-8 (fast)"
    assert book.price_model("anthropic", "claude-haiku-4-5", "priority") is None
    ((half, _),) = rate_of(store, "anthropic/claude-haiku-4-5 (batch)", "output", AT, 1)
    assert half == Decimal("2.5")
    assert rate_of(store, "anthropic/claude-haiku-4-5 (batch)", "output", datetime(2026, 1, 1), 1) == []


def test_prices_have_their_dates(store: Store) -> None:
    """No two rows of a rate and tier hold at one time, and a change of price divides the time between them."""
    overlapping = store.cursor().execute(
        "select a.* from prices a join prices b using (provider, model, rate, tier_start_tokens) "
        "where a.rowid < b.rowid and coalesce(a.valid_from, '-infinity') < coalesce(b.valid_to, 'infinity') "
        "and coalesce(b.valid_from, '-infinity') < coalesce(a.valid_to, 'infinity')"
    )
    assert overlapping.fetchall() == []
    changed = store.cursor().execute(
        "select count(*) from prices a join prices b using (provider, model, rate, tier_start_tokens) "
        "where a.valid_to = b.valid_from and a.usd_per_mtok <> b.usd_per_mtok"
    )
    assert (changed.fetchone() or (0,))[0] > 0


def test_a_users_price_wins_while_it_holds(tmp_path: Path) -> None:
    """Within its dates the user's price is the only one; before and after, and for other rates, the list's holds."""
    file = tmp_path / "prices.toml"
    file.write_text(
        '[[price]]\nprovider = "anthropic"\nmodel = "claude-sonnet-4-5-20250929"\n'
        "valid_from = 2026-10-01\nvalid_to = 2026-12-01\ninput = 2.4\nweb_search = 8\n"
        '[[price]]\nprovider = "in-house"\nmodel = "llama"\ninput = 0.1\noutput = 0\n'
    )
    with Store.open(tmp_path / "s.duckdb", prices_file=file) as store:
        name = "anthropic/claude-sonnet-4-5"
        listed = f"genai-prices {prices.fingerprint([]).split()[0]}"
        for at, expected in (
            (datetime(2026, 9, 30, 23), (Decimal(3), listed)),
            (datetime(2026, 10, 1), (Decimal("2.4"), "user")),
            (datetime(2026, 12, 1), (Decimal(3), listed)),
        ):
            assert rate_of(store, name, "input", at, 1000) == [expected]
        assert rate_of(store, name, "input", AT, 300_000) == [(Decimal("2.4"), "user")]
        assert rate_of(store, name, "fee", AT, 1) == [(Decimal(8000), "user")]
        assert rate_of(store, name, "output", AT, 1) == [(Decimal(15), listed)]
        book = PriceBook(store.cursor())
        assert book.price_model("in-house", "llama") == "in-house/llama"
        assert rate_of(store, "in-house/llama", "output", AT, 1) == [(Decimal(0), "user")]


def test_a_change_of_prices_recomputes_the_bill(tmp_path: Path) -> None:
    """Costs follow the prices that are there when the store is opened."""
    from agent_trace import chat
    from otlp_requests import protobuf
    from toolspend_ingest.decode import decode

    file, path = tmp_path / "prices.toml", tmp_path / "s.duckdb"
    with Store.open(path, prices_file=file) as store:
        store.append(decode(protobuf([chat(1, 1, 0, 1)]), "protobuf").spans, "a", "a", None)
        before = store.cursor().execute("select cost_usd from llm_requests").fetchone()
    file.write_text('[[price]]\nprovider = "anthropic"\nmodel = "claude-sonnet-4-5"\noutput = 115\n')
    with Store.open(path, prices_file=file) as store:
        after = store.cursor().execute("select cost_usd from llm_requests").fetchone()
    assert before is not None and after is not None
    assert after[0] - before[0] == Decimal(80) * 100 / 1_000_000


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("[[price]]\nprovider = \n", 2, "not valid TOML"),
        ('prices = "x"\n', 1, "unknown key 'prices'"),
        ("\nprice = 3\n", 2, r"\[\[price\]\]"),
        ('[[price]]\nprovider = "a"\ninput = 1\n', 1, "model must be"),
        ('[[price]]\nprovider = "a"\nmodel = "b"\n', 1, "no rate"),
        (
            '[[price]]\nprovider="a"\nmodel="b"\ninput=1\n\n[[price]]\nprovider="a"\nmodel="b"\ninput=-1\n',
            6,
            "input must",
        ),
        ('[[price]]\nprovider = "a"\nmodel = "b"\ninput = nan\n', 1, "input must"),
        ('[[price]]\nprovider = "a"\nmodel = "b"\ninput = 1e300\n', 1, "out of range"),
        ('[[price]]\nprovider = "a"\nmodel = "b"\ncost = 1\n', 1, "unknown key 'cost'"),
        ('[[price]]\nprovider = "a"\nmodel = "b"\ninput = 1\nvalid_from = "soon"\n', 1, "valid_from must be a date"),
        (
            '[[price]]\nprovider = "a"\nmodel = "b"\ninput = 1\nvalid_from = 2026-02-01\nvalid_to = 2026-01-01\n',
            1,
            "before",
        ),
        ('[[price]]\nprovider = "a"\nmodel = "b"\ninput = 1\ntier_start_tokens = 1.5\n', 1, "whole number"),
    ],
)
def test_a_mistake_in_the_prices_names_the_file_and_the_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    """Each kind of mistake is one line that says where it is and what is wrong."""
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(PricesInvalid, match=reason) as error:
        read_overrides(file)
    assert str(error.value).startswith(f"{file}:{line}: ")
    assert "\n" not in str(error.value)


def test_the_prices_file_lies_in_the_users_home(home: Path) -> None:
    """TOOLSPEND_HOME holds prices.toml, and none is as good as an empty one."""
    assert prices.default_file() == home / "prices.toml"
    assert read_overrides(prices.default_file()) == []


def test_overrides_of_one_rate_follow_each_other() -> None:
    """Of two overrides for one time the later in the file holds."""
    common = {"provider": "anthropic", "model": "claude-haiku-4-5"}
    found = prices.with_overrides(
        prices.bundled(),
        [
            Override(**common, rates={"input": Decimal(2)}),
            Override(**common, rates={"input": Decimal(3)}, valid_from=AT),
        ],
    )
    rows = [row for row in found if (row.model, row.rate, row.provider) == ("claude-haiku-4-5", "input", "anthropic")]
    assert [(row.usd_per_mtok, row.valid_from, row.valid_to) for row in rows] == [
        (Decimal(2), None, AT),
        (Decimal(3), AT, None),
    ]
