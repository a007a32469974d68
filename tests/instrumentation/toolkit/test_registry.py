"""What a registry selects for a task."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import toolspend
from toolspend.testing import Captured
from toolspend.toolkit import Selection, Tool, ToolRegistry

SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}


def tool(name: str, description: str = "", category: str = "general", **fields: Any) -> Tool:
    return Tool(name, description, SCHEMA, lambda: "done", category, **fields)


def names(tools: Sequence[Tool]) -> list[str]:
    return [each.name for each in tools]


def shop() -> list[Tool]:
    return [
        tool("create_refund", "Creates a refund of a payment.", "billing"),
        tool("list_invoices", "Lists the invoices of a customer.", "billing"),
        tool("deleteCoupon", "Removes a coupon.", "billing"),
        tool("get_pods", "Lists pods in a namespace.", "cluster"),
        tool("get_logs", "Gets logs from a pod.", "cluster"),
        tool("sendMessage", "Sends an email message.", "mail"),
    ]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("refund the payment", "create_refund"),
        ("give the buyer her money back", "create_refund"),
        ("what did the container print before it crashed?", "get_logs"),
        ("get rid of the discount", "deleteCoupon"),
        ("let bob know by mail that we are late", "sendMessage"),
    ],
)
def test_the_tool_that_fits_comes_first(query: str, first: str) -> None:
    """By its own words, by their stems in camelCase and snake_case, and by what people say for them."""
    assert ToolRegistry(shop()).get_tools_for_task(query=query)[0].name == first


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("have somebody look at 10.0.4.17, quick", "host_by_address"),
        ("is report-2026.xlsx there?", "find_file"),
        ("let my crew know", "notify"),
        ("people with an invoice", "invoice"),
    ],
)
def test_values_phrases_that_stand_apart_and_common_words(query: str, first: str) -> None:
    """A value counts as what it is, a phrase holds over words between, and words that everybody uses weigh less."""
    registry = ToolRegistry(
        [
            tool("people", "Plays."),
            tool("host_by_address", "Looks up an IP."),
            tool("find_file", "Finds one."),
            tool("notify", "Rings."),
            tool("invoice", "Bills."),
        ]
    )
    assert names(registry.get_tools_for_task(query=query))[0] == first


def test_an_order_is_not_for_a_tool_that_only_reads() -> None:
    """Of two that fit alike, a question is for the one that reads, an order for the one that does it."""
    registry = ToolRegistry([tool("list_refund", "A refund."), tool("create_refund", "A refund.")])
    assert names(registry.get_tools_for_task(query="is there a refund?"))[0] == "list_refund"
    assert names(registry.get_tools_for_task(query="refund of 5 euros for Jane, please"))[0] == "create_refund"


def test_a_category_holds_unless_the_tool_is_general() -> None:
    """Tools of other categories stay out; general ones belong to each."""
    registry = ToolRegistry([*shop(), tool("note", "Takes a note.")])
    assert names(registry.get_tools_for_task("cluster")) == ["get_pods", "get_logs", "note"]
    assert names(registry.get_tools_for_task("cluster", query="logs"))[0] == "get_logs"
    assert registry.get_tools_for_task("unknown").is_unsure is False
    assert ToolRegistry(shop()).get_tools_for_task("unknown").is_unsure


def test_what_is_left_out_is_said() -> None:
    """The tools left out, and the definition tokens that each request is spared."""
    registry = ToolRegistry(shop())
    selection = registry.get_tools_for_task(max_tools=2, query="pods")
    assert len(selection) == 2
    assert {*names(selection), *names(selection.left_out)} == set(registry.tools)
    assert selection.avoided_tokens == sum(each.definition_tokens for each in selection.left_out) > 0
    assert selection.offered_tokens == sum(each.definition_tokens for each in selection)
    assert f"left out 4, about {selection.avoided_tokens} definition tokens" in str(selection)


def test_pinned_tools_come_first_and_deprecated_ones_not_at_all() -> None:
    """A pinned tool is offered whatever the task is."""
    pinned, old = tool("note", is_pinned=True), tool("get_pods_v1", "Lists pods.", "cluster", is_deprecated=True)
    registry = ToolRegistry([old, *shop(), pinned])
    assert names(registry.get_tools_for_task("cluster", 2, query="pods")) == ["note", "get_pods"]


def test_a_tool_brings_what_it_requires_or_stays_out() -> None:
    """Dependencies follow their tool, also out of other categories; a tool whose dependencies do not fit is skipped."""
    read = tool("read_results", "Reads.", "data")
    start = tool("start_search", "Starts a search for orders.", "search", requires=("read_results", "stop_search"))
    stop = tool("stop_search", "Stops.", "search", requires="start_search")
    registry = ToolRegistry([read, *shop(), start, stop])
    assert names(registry.get_tools_for_task(max_tools=3, query="search orders")) == [
        "start_search",
        "read_results",
        "stop_search",
    ]
    assert "start_search" not in names(registry.get_tools_for_task(max_tools=2, query="search orders"))


def test_the_same_task_gives_the_same_list() -> None:
    """Whatever was observed meanwhile, and in equal registries; a list that an agent changes is its own."""
    registry = ToolRegistry(shop())
    first = names(registry.get_tools_for_task(query="logs of pods"))
    for _ in range(10):
        registry.observe(first[0], is_error=True)
    registry.get_tools_for_task(query="logs of pods").clear()
    assert names(registry.get_tools_for_task(query="logs of pods")) == first
    assert names(ToolRegistry(shop()).get_tools_for_task(query="logs of pods")) == first


def test_ties_stay_in_the_order_of_registration() -> None:
    """Tools that fit equally well are offered as they were registered."""
    tools = [tool(f"{letter}_get", "Gets it.") for letter in "qzxjk"]
    assert names(ToolRegistry(tools).get_tools_for_task(query="get")) == names(tools)


def test_a_tool_that_came_or_went_counts_at_once() -> None:
    """By method, or behind the registry's back."""
    registry = ToolRegistry(shop())
    assert names(registry.get_tools_for_task(query="weather"))
    registry.register(tool("weather", "Tells the weather."))
    assert registry.get_tools_for_task(query="weather")[0].name == "weather"
    del registry.tools["weather"]
    assert "weather" not in names(registry.get_tools_for_task(query="weather"))
    registry.unregister("get_pods")
    registry.unregister("get_pods")
    assert "get_pods" not in registry


def test_what_is_edited_in_place_counts_at_once() -> None:
    """Of a tool that stays the same object: its text, schema and marks, also for a task asked before."""
    registry = ToolRegistry([*shop(), tool("zulu", "Waits.", is_deprecated=True)])
    zulu = registry.tools["zulu"]

    def first() -> str:
        return registry.get_tools_for_task(query="weather tomorrow")[0].name

    assert first() != "zulu"
    zulu.is_deprecated = False
    zulu.description = "Tells the weather."
    assert first() == "zulu"
    zulu.description = "Waits."
    assert first() != "zulu"
    zulu.schema = {"type": "object", "properties": {"weather": {"type": "string"}}}
    assert first() == "zulu"
    registry.tools["get_logs"].is_pinned = True
    assert first() == "get_logs"


def test_a_schema_that_is_edited_in_place_counts_too() -> None:
    """A parameter that came, went or has another name counts at once, also for a task that was asked before."""
    registry = ToolRegistry([*shop(), Tool("zulu", "Waits.", {"type": "object", "properties": {"x": {}}})])
    schema = registry.tools["zulu"].schema

    def first(query: str) -> str:
        return registry.get_tools_for_task(query=query)[0].name

    assert first("barometer") != "zulu"
    schema["properties"]["barometer"] = {"type": "string"}
    assert first("barometer") == "zulu"
    del schema["properties"]["barometer"]
    assert first("barometer") != "zulu"
    assert first("thermometer") != "zulu"
    schema["properties"]["thermometer"] = schema["properties"].pop("x")
    assert first("thermometer") == "zulu"
    schema["properties"] = {"barometer": {}}
    assert first("thermometer") != "zulu"
    assert first("barometer") == "zulu"
    assert [each.name for each in registry.find_tools("barometer", 1)] == ["zulu"]


def test_past_success_weighs_in() -> None:
    """Of two tools that fit equally well, the one that worked comes first."""
    registry = ToolRegistry([tool("alpha_search", "Searches."), tool("gamma_search", "Searches.")])
    assert names(registry.get_tools_for_task(query="search")) == ["alpha_search", "gamma_search"]
    for _ in range(5):
        registry.observe("gamma_search", 10)
        registry.observe("alpha_search", is_error=True)
    assert names(registry.get_tools_for_task(query="search it")) == ["gamma_search", "alpha_search"]


def test_the_estimate_of_a_result_follows_what_was_observed() -> None:
    """The first result replaces the guess, later ones move it; failures and unknown tools teach nothing."""
    registry = ToolRegistry([tool("read", estimated_tokens=100)])
    registry.observe("read", 1_000)
    assert registry.tools["read"].estimated_tokens == 1_000
    registry.observe("read", 2_000)
    assert registry.tools["read"].estimated_tokens == 1_500
    registry.observe("read", 9, is_error=True)
    registry.observe("unknown", 9)
    assert registry.tools["read"].estimated_tokens == 1_500
    for _ in range(200):
        registry.observe("read", 40)
    assert registry.tools["read"].estimated_tokens < 60


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("who is it?", "owner"),
        ("keep an eye on it", "watch"),
        ("which DLLs?", "dll"),
    ],
)
def test_what_only_people_say_means_what_tools_do(query: str, first: str) -> None:
    """Question words, sayings over several words, and acronyms in the plural."""
    registry = ToolRegistry([tool("plays"), tool("it"), tool("dl_s"), tool("watch"), tool("owner"), tool("dll")])
    assert registry.get_tools_for_task(query=query)[0].name == first


def test_a_saying_is_no_word_of_a_tool() -> None:
    """A tool whose text has "who" in it is not meant by a task that asks who."""
    registry = ToolRegistry([tool("those_who_play"), tool("plays", "Names an owner.")])
    assert names(registry.get_tools_for_task(query="who is it?")) == ["plays", "those_who_play"]


def test_a_topic_leads_where_no_word_is_shared() -> None:
    """What is spoken of tells more than nothing: an ingress is a thing of clusters."""
    assert names(ToolRegistry(shop()).get_tools_for_task(query="the ingress", max_tools=2)) == ["get_pods", "get_logs"]


def test_where_nothing_is_known_what_suits_comes_first() -> None:
    """An order goes to tools that change something, a question to those that only look."""
    registry = ToolRegistry([tool("get_aaa"), tool("create_bbb"), tool("list_ccc"), tool("delete_ddd")])
    assert names(registry.get_tools_for_task(query="flurb the grommet", max_tools=2)) == ["create_bbb", "delete_ddd"]
    assert names(registry.get_tools_for_task(query="which grommet?", max_tools=2)) == ["get_aaa", "list_ccc"]


@pytest.mark.parametrize(
    ("embed", "said"),
    [
        (lambda texts: [[1.0, 0.0]], "not one row of numbers a text"),
        (lambda texts: [1.0 for _ in texts], "not one row of numbers a text"),
        (lambda texts: [[1.0], [1.0, 2.0]], "list is no table of numbers"),
        (lambda texts: None, "embed: "),
    ],
)
def test_an_embedding_that_is_no_table_is_refused_by_name(embed: Any, said: str) -> None:
    """Where a task is first given; not as an error of numpy's."""
    with pytest.raises(TypeError, match=said) as error:
        ToolRegistry(shop(), embed=embed).get_tools_for_task(query="a refund")
    assert "\n" not in str(error.value)


def test_an_embedding_finds_what_shares_no_word() -> None:
    """A function of the caller's turns texts into vectors; each tool's text is embedded once."""
    asked: list[int] = []

    def embed(texts: Sequence[str]) -> Any:
        asked.append(len(texts))
        return np.array([[1.0, 0.0] if "zebra" in text or "pods" in text else [0.0, 1.0] for text in texts])

    registry = ToolRegistry(shop(), embed=embed)
    assert registry.get_tools_for_task(query="zebra")[0].name == "get_pods"
    assert registry.get_tools_for_task(query="another zebra")[0].name == "get_pods"
    assert asked == [6, 1, 1]


def test_a_selection_says_when_it_is_unsure() -> None:
    """Words that no tool knows make it unsure; words that one tool answers do not."""
    registry = ToolRegistry(shop())
    assert registry.get_tools_for_task(query="ponder quaint philosophies").is_unsure
    assert not registry.get_tools_for_task(query="create a refund").is_unsure
    assert not registry.get_tools_for_task().is_unsure
    assert ToolRegistry().get_tools_for_task(query="anything").is_unsure
    assert ToolRegistry([tool("of", "")]).get_tools_for_task(query="of the").is_unsure


def test_a_selection_is_unsure_where_what_it_left_out_fits_as_well() -> None:
    """The next tool decides: of alike ones any may be meant, and where all of them are offered, none is missed."""
    registry = ToolRegistry([tool("send_red"), tool("send_blue"), tool("send_green"), tool("plays"), tool("waits")])
    assert registry.get_tools_for_task(query="send it", max_tools=2).is_unsure
    assert not registry.get_tools_for_task(query="send it", max_tools=3).is_unsure
    assert not registry.get_tools_for_task(query="send it", max_tools=5).is_unsure


def test_the_model_can_search_the_rest() -> None:
    """`find_tools` names tools with what they do, and what it found is offered after the others from then on."""
    registry = ToolRegistry(shop())
    search = registry.register(registry.search_tool())
    selection = registry.get_tools_for_task("cluster", 2, query="pods")
    assert names(selection) == ["find_tools", "get_pods"]
    assert search.handler is not None
    said = search.handler(query="refund a payment").splitlines()
    assert said[1] == "- create_refund: Creates a refund of a payment."
    before, spared = names(selection), selection.avoided_tokens
    calls = [{"name": "find_tools", "id": "1", "input": {"query": "refund a payment"}}, {"name": "get_pods"}]
    added = selection.add_found(calls)
    assert added[0].name == "create_refund"
    assert names(selection) == before + names(added)
    assert selection.avoided_tokens < spared
    assert selection.add_found(calls) == []


def test_the_search_says_what_is_new_even_for_the_words_of_the_task() -> None:
    """What is offered, what is pinned and what was added are left out; sessions in other contexts do not matter."""
    registry = ToolRegistry([*shop(), tool("pay", "Refunds a payment at once.", is_pinned=True)])
    search = registry.register(registry.search_tool(2))
    assert search.handler is not None
    selection = registry.get_tools_for_task(query="refund a payment", max_tools=4)
    contextvars.Context().run(registry.get_tools_for_task, query="pods", max_tools=8)
    seen = names(selection)
    for turn in ("1", "2", "3"):
        said = search.handler(query="refund a payment").splitlines()
        call = {"name": "find_tools", "id": turn, "input": {"query": "refund a payment"}}
        added = names(selection.add_found([call, call]))
        assert [line.split(":")[0] for line in said[1:]] == [f"- {name}" for name in added]
        assert not set(added) & {*seen, "find_tools", "pay"}
        seen += added
    assert said == ["No tool fits."] and added == []
    assert sorted(seen) == sorted(registry.tools)


def test_a_decorated_function_is_registered_and_stays_a_function() -> None:
    """`@registry.tool(...)` says in one line what `register(Tool.from_function(...))` does."""
    registry = ToolRegistry()

    @registry.tool(category="mail", has_side_effects=True, timeout_s=2.0)
    def send_letter(to: str) -> str:
        """Sends a letter."""
        return f"sent to {to}"

    assert send_letter("bob") == "sent to bob"
    made = registry.tools["send_letter"]
    assert (made.handler, made.category, made.has_side_effects, made.timeout_s) == (send_letter, "mail", True, 2.0)
    assert made.schema["required"] == ["to"]


def test_definitions_are_what_a_request_states() -> None:
    """Name, description and input schema, in the order given."""
    registry = ToolRegistry(shop())
    assert registry.get_tool_definitions(registry.get_tools_for_task(max_tools=1)) == [
        {"name": "create_refund", "description": "Creates a refund of a payment.", "input_schema": SCHEMA}
    ]


def test_a_negative_number_of_tools_is_refused() -> None:
    """One line says what to give; none at all is allowed."""
    with pytest.raises(ValueError, match="max_tools=-1"):
        ToolRegistry(shop()).get_tools_for_task(max_tools=-1)
    assert ToolRegistry(shop()).get_tools_for_task(max_tools=0, query="pods") == Selection()


@pytest.mark.parametrize("is_given", [False, True])
def test_a_selection_has_one_span(captured: Captured, is_given: bool) -> None:
    """From birth, once `instrument` was called; and not a second one where the registry was given to it."""
    registry = ToolRegistry(shop())
    registry.get_tools_for_task("mail", query="write to bob")
    assert captured.spans() == []
    toolspend.instrument(registry=registry if is_given else None, export=None)
    selection = registry.get_tools_for_task("cluster", 1, query="secret words about a namespace")
    [span] = captured.spans()
    assert span["name"] == "select_tools"
    found = {key.removeprefix("toolspend.selection."): value for key, value in span["attributes"].items()}
    assert found["task_type"] == "cluster"
    assert (found["candidates"], found["selected"], found["tools"]) == (6, 1, tuple(names(selection)))
    assert found["avoided_chars"] > found["offered_chars"] > 0
    assert found["is_unsure"] is selection.is_unsure is False
    assert "secret" not in str(span)
    assert registry.get_tools_for_task(query="ponder quaint philosophies").is_unsure
    assert captured.spans()[1]["attributes"]["toolspend.selection.is_unsure"] is True
    toolspend.uninstrument()
    registry.get_tools_for_task("mail")
    assert len(captured.spans()) == 2


def test_a_handler_called_after_a_selection_has_its_span(captured: Captured) -> None:
    """What is selected is traced when it runs, and put back afterwards."""
    registry = ToolRegistry(shop())
    before = registry.tools["get_logs"].handler
    toolspend.instrument(export=None)
    registry.get_tools_for_task(query="logs")[0].handler()  # type: ignore[misc]
    assert [span["name"] for span in captured.spans()] == ["select_tools", "execute_tool get_logs"]
    toolspend.uninstrument()
    assert registry.tools["get_logs"].handler is before


def test_the_toolkit_alone_loads_nothing_heavy() -> None:
    """Neither a database nor numpy, pydantic or a tokenizer, before they are needed."""
    script = (
        "import sys; from toolspend.toolkit import Tool, ToolRegistry; "
        "ToolRegistry([Tool('a', '', {})]).get_tools_for_task(); "
        "heavy = {'duckdb', 'numpy', 'pandas', 'bm25s', 'pydantic', 'Stemmer', 'streamlit'}; "
        "sys.exit(', '.join(heavy & {*sys.modules}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["bm25s", "Stemmer"])
def test_a_missing_extra_names_the_install_line(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """A selection by text needs libraries of the toolkit's extra."""
    from toolspend.toolkit import _words

    monkeypatch.setitem(sys.modules, missing, None)
    _words._stemmer.cache_clear()
    _words._lexicon.cache_clear()
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'toolspend\[toolkit\]'"):
        ToolRegistry(shop()).get_tools_for_task(query="pods")


def test_the_ranking_writes_nothing_into_an_applications_log() -> None:
    """Its library sets its logger to DEBUG as it is imported, past what the application asked for."""
    script = """
        import logging
        logging.basicConfig(level=logging.WARNING)
        from toolspend.toolkit import Tool, ToolRegistry
        registry = ToolRegistry([Tool("mail", "Sends mail.", {}), Tool("find", "Finds pages.", {})])
        print([tool.name for tool in registry.get_tools_for_task(max_tools=1, query="find a page")])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "['find']\n" and run.stderr == ""
