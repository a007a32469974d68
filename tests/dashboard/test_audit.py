"""The tool audit as a command and as a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import otlp_requests
import served
import synthetic_store
from otlp_requests import Made
from toolspend import attributes as at
from toolspend._frames import encode
from toolspend_dashboard import queries, tool_audit
from toolspend_dashboard.formats import code
from toolspend_dashboard.queries import Filters
from toolspend_ingest import Store

Page = Callable[..., AppTest]

TOOLS = [
    {
        "name": "delete_report",
        "description": "Deletes one report permanently.",
        "inputSchema": {"type": "object", "properties": {"report_id": {"type": "string"}}},
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "read_report",
        "description": "Reads one report as Markdown.",
        "inputSchema": {"type": "object", "properties": {"report_id": {"type": "string", "description": "Its number"}}},
        "annotations": {"readOnlyHint": True},
    },
]

SERVER = '''
from mcp.server.mcpserver import MCPServer

server = MCPServer("library")


@server.tool()
def search(query: str) -> str:
    """Finds books of the library."""
    return query


server.run("stdio")
'''

REGISTRY = """
from toolspend.toolkit import Tool, ToolRegistry


def forget(query: str) -> list[str]:
    try:
        return [query]
    except Exception:
        return []


registry = ToolRegistry([Tool("find_books", "Finds books of the library.", {"type": "object"}, forget)])
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A TOOLSPEND_HOME of the test's own, not made yet."""
    return tmp_path / "home"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A file with an answer to tools/list."""
    path = tmp_path / "tools.json"
    path.write_text(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS}}, indent=2), encoding="utf-8")
    return path


def test_a_file_is_audited_and_the_exit_code_says_how_it_went(home: Path, listed: Path) -> None:
    """An error ends with 1, unless told otherwise; nothing is stored."""
    done = served.run_here(home, "audit", listed)
    assert done.returncode == 1, done.stderr
    assert "delete_report: readOnlyHint is true" in done.stdout
    assert "2 tools: 1 error, 1 warning, 0 notes" in done.stdout
    assert served.run_here(home, "audit", listed, "--fail-on", "never").returncode == 0
    listed.write_text(json.dumps(TOOLS[1:]), encoding="utf-8")
    assert served.run_here(home, "audit", listed, "--fail-on", "note").returncode == 0
    assert not home.exists()


def test_json_and_sarif_say_the_same(home: Path, listed: Path, tmp_path: Path) -> None:
    """Each finding once in both, and in SARIF at the line of the file that names the tool."""
    written = tmp_path / "audit.sarif"
    done = served.run_here(home, "audit", listed, "--json", "--sarif", written, "--fail-on", "never")
    told, log = json.loads(done.stdout), json.loads(written.read_text(encoding="utf-8"))
    assert [each["check"] for each in told["findings"]] == [each["ruleId"] for each in log["runs"][0]["results"]]
    assert {each["tool"]: each["score"] for each in told["tools"]} == {"delete_report": 60, "read_report": 100}
    line = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"]
    assert '"name": "delete_report"' in listed.read_text(encoding="utf-8").splitlines()[line - 1]


def test_sarif_goes_to_stdout_alone_where_a_dash_is_given(home: Path, listed: Path, tmp_path: Path) -> None:
    """No file called -, and nothing else on stdout; the exit code says the same as ever."""
    written = tmp_path / "audit.sarif"
    done = served.run_here(home, "audit", listed, "--sarif", "-")
    assert served.run_here(home, "audit", listed, "--sarif", written).returncode == done.returncode == 1
    assert json.loads(done.stdout) == json.loads(written.read_text(encoding="utf-8"))
    assert not Path("-").exists()
    both = served.run_here(home, "audit", listed, "--json", "--sarif", "-")
    assert both.returncode == 2 and both.stderr.count("\n") == 1 and "give --sarif FILE" in both.stderr


def test_a_registry_is_audited_with_its_handlers(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module:name` is looked for from where the command runs; what a handler hides is found in its source."""
    (tmp_path / "library_tools.py").write_text(REGISTRY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = served.run_here(home, "audit", "library_tools:registry", "--json")
    assert done.returncode == 0, done.stderr
    assert [each["check"] for each in json.loads(done.stdout)["findings"]] == ["swallowed_errors"]


def test_an_mcp_server_is_asked_for_its_tools(home: Path, tmp_path: Path) -> None:
    """The command is started, asked over its standard streams, and ended."""
    pytest.importorskip("mcp.server.mcpserver")
    script = tmp_path / "server.py"
    script.write_text(SERVER, encoding="utf-8")
    done = served.run_here(home, "audit", "--mcp", f"{sys.executable} {script}", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["tool"] for each in told["tools"]] == ["search"]
    assert ["query"] in [each["parameters"] for each in told["findings"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_such_module:registry"], "no module named 'no_such_module'"),
        (["json:nothing"], "has no 'nothing'"),
        (["missing.json"], "missing.json"),
        (["a.json", "--mcp", "b"], "not both"),
        (["--mcp", " "], "give the command that starts the server"),
        (["json:loads"], "it gave no tools: TypeError"),
        ([sys.executable], "is not JSON: 'utf-8' codec"),
        (["--mcp", f"{sys.executable} -c 'raise SystemExit(\"no key set\")'"], "listed no tools: no key set"),
    ],
)
def test_what_gives_no_tools_is_one_line(home: Path, arguments: list[str], said: str) -> None:
    """The line says what was given and what is wrong with it; the exit code is 2."""
    if "-c" in arguments[-1]:
        pytest.importorskip("mcp")
    done = served.run_here(home, "audit", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("toolspend: ") and done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr


def test_a_file_that_is_nested_without_end_and_a_module_that_exits_are_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither shows a trace, and no module decides how the command ends."""
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000 + "]" * 100_000, encoding="utf-8")
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for source, said in (("deep.json", "is not JSON"), ("leaving:tools", "failed with SystemExit: 0")):
        done = served.run_here(home, "audit", source)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr


def test_a_file_may_begin_with_a_byte_order_mark(home: Path, listed: Path) -> None:
    """As some editors have it."""
    listed.write_bytes(b"\xef\xbb\xbf" + listed.read_bytes())
    assert "2 tools: " in served.run_here(home, "audit", listed).stdout


def call(number: int, status: str = "ok", **attributes: Any) -> Made:
    """A traced run of `lookup`."""
    named = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup", "gen_ai.tool.call.id": f"c{number}"}
    return Made(1, number, "execute_tool lookup", {**named, **attributes}, at_s=float(number), status=status)


@pytest.fixture
def traced(home: Path) -> Iterator[Store]:
    """A store with calls of one tool, whose content was captured."""
    results = ['{"hits": [], "next": null}', '{"hits": [1]}', "nothing found", "nothing found", '{"hits": [2]}', "none"]
    spans = [call(number, **{"gen_ai.tool.call.result": text}) for number, text in enumerate(results, start=1)]
    wrong = {"error.type": "unknown_tool", "gen_ai.tool.call.result": "failed"}
    spans += [call(number, "error", **wrong) for number in range(10, 13)]
    spool = home / "spool"
    spool.mkdir(parents=True)
    (spool / "agent-1.spool").write_bytes(encode(otlp_requests.protobuf(spans)))
    assert served.run_here(home, "ingest").returncode == 0
    with Store.open(home / "toolspend.duckdb", read_only=True) as store:
        yield store


def of_store(store: Store, filters: Filters | None = None) -> tool_audit.Audit:
    with store.cursor() as cursor:
        bound = (filters or Filters()).parameters()
        return tool_audit.of_store(lambda name: queries.run(cursor, name, **bound))


def test_shapes_and_failures_are_read_from_captured_content(traced: Store) -> None:
    """Objects with common keys are one shape, text is another; failures of one word give no guidance."""
    found = {finding.check: finding for finding in of_store(traced).findings}
    assert set(found) == {"varying_output", "errors_without_guidance", "called_wrongly"}
    assert "3 times text; 3 times an object of hits" in found["varying_output"].evidence
    assert "3 of 9 calls were wrong: 3 unknown_tool" in found["called_wrongly"].evidence
    assert of_store(traced).undefined == ("lookup",)


def test_shapes_are_known_without_content(home: Path) -> None:
    """As agents that capture none say them: objects with common keys are one shape, those of unknown keys too."""
    shapes = [
        "object:0a,1b,2c", "object:0a,1b", "object", "text", "text", "object:77,78", "object:77,78,79",
        "object:e0,e1,e2", "array",
    ]  # fmt: skip
    said: list[dict[str, Any]] = [
        {"toolspend.tool.raw_result_chars": 9} | ({} if shape == "text" else {"toolspend.tool.result_shape": shape})
        for shape in shapes
    ]
    spans = [call(number, **attributes) for number, attributes in enumerate(said, start=1)]
    spans.append(call(20, "error", **{"error.type": "timeout"}))
    (home / "spool").mkdir(parents=True)
    (home / "spool" / "agent-1.spool").write_bytes(encode(otlp_requests.protobuf(spans)))
    assert served.run_here(home, "ingest").returncode == 0
    with Store.open(home / "toolspend.duckdb", read_only=True) as store:
        [finding] = [each for each in of_store(store).findings if each.check == "varying_output"]
    told = (
        "9 results came in 5 shapes: 3 times an object of 2 fields; 2 times text; 2 times an object of 2 other fields"
    )
    assert told in finding.evidence
    assert finding.hint.startswith("Always return an object of 2 fields: ")


def test_errors_that_say_nothing_are_known_without_content(home: Path) -> None:
    """By the number of words that failures said; those of which nothing is known count on neither side."""
    words = [0, 2, 3, 0, 12, None, None]
    spans = [
        call(number, "error", **{"error.type": "tool_error"} | ({} if count is None else {at.TOOL_ERROR_WORDS: count}))
        for number, count in enumerate(words, start=1)
    ]
    (home / "spool").mkdir(parents=True)
    (home / "spool" / "agent-1.spool").write_bytes(encode(otlp_requests.protobuf(spans)))
    assert served.run_here(home, "ingest").returncode == 0
    with Store.open(home / "toolspend.duckdb", read_only=True) as store:
        [finding] = [each for each in of_store(store).findings if each.check == "errors_without_guidance"]
    assert finding.evidence == "4 of 5 failures say no more than 3 words."
    assert finding.hint.startswith("Let each failure of `lookup` say which argument")


def test_the_store_says_what_is_never_called(sample_store: Store) -> None:
    """What is offered and not called is found, with the requests that offered it; filters narrow it."""
    with sample_store.cursor() as cursor:
        idle = {row[0] for row in cursor.execute("select tool from tool_costs where calls = 0").fetchall()}
        [[offered]] = cursor.execute(
            "select count(distinct request_id) from context_ledger "
            "where kind = 'tool_definition' and tool = 'translate'"
        ).fetchall()
    found = {each.tool: each for each in of_store(sample_store).findings if each.check == "never_called"}
    assert set(found) == idle
    assert f"Offered in {offered:,} requests" in found["translate"].evidence
    assert set(of_store(sample_store, Filters(service="coding-agent")).scores) == {
        *synthetic_store.SERVICES["coding-agent"], *synthetic_store.HOSTILE_TOOLS,
    }  # fmt: skip


def test_an_empty_store_has_nothing_to_audit(empty_store: Store) -> None:
    """No tools, no findings, no error."""
    assert of_store(empty_store) == tool_audit.Audit((), {})


def test_the_page_shows_what_to_rewrite_and_leads_to_the_tool(page: Page, sample_store: Store) -> None:
    """Tools by score beside their findings; hostile names are names; one question at a time where it is picked."""
    app = page(sample_store, "audit")
    assert not app.exception
    found = of_store(sample_store)
    tiles = {tile.label: tile.value for tile in app.metric}
    assert int(tiles["Tools"]) == len(found.scores)
    assert int(tiles["Warnings"]) == sum(each.severity == "warning" for each in found.findings)
    shown = app.dataframe[0].value
    assert list(shown["Score"]) == sorted(found.scores.values())
    text = "\n".join(str(each.value) for each in app.markdown)
    assert "`translate`" in text and "never called" in text
    assert all(code(name) in text for name in synthetic_store.HOSTILE_TOOLS)
    app.pills[0].set_value("use").run()
    assert not app.exception
    use = {each.tool for each in found.findings if each.question == "use"}
    assert set(app.dataframe[0].value["Tool"]) == use


def test_what_many_tools_have_against_them_is_said_once(page: Page, sample_store: Store) -> None:
    """Tools that were never called are on one card, each with what it cost, and what to do about all of them."""
    use = [each for each in of_store(sample_store).findings if each.question == "use"]
    idle = [each.tool for each in use if each.check == "never_called"]
    assert len(idle) >= 3
    app = page(sample_store, "audit")
    app.pills[0].set_value("use").run()
    shown = [str(each.value) for each in app.markdown]
    [card] = [text for text in shown if "each only to the tasks that need it" in text]
    assert all(f"- {code(tool)} Offered in" in card for tool in idle)
    assert f"#### Offered and never called: {len(idle)} tools" in shown


def test_the_page_of_a_tool_says_what_the_audit_finds(page: Page, sample_store: Store) -> None:
    """Beside its definition: the score, what was seen, and what to do."""
    app = page(sample_store, "tools", tool="translate")
    assert not app.exception
    text = "\n".join(str(each.value) for each in (*app.markdown, *app.caption))
    assert f"The audit gives it {of_store(sample_store).scores['translate']} of 100" in text
    assert "and never called" in text and "Offer `translate` only to the tasks" in text
