"""The commands as a user types them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

import otlp_requests
import served
from otlp_requests import Made
from toolspend._frames import encode
from toolspend_ingest import Store

CALL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "gen_ai.tool.call.id": "c1"}
REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}

SAMPLES = Path(__file__).parents[2] / "sample_traces"


def traffic() -> list[Made]:
    """One model request and the tool call after it."""
    return [
        Made(1, 1, "chat claude-sonnet-4-5", REQUEST),
        Made(1, 2, "execute_tool search", CALL, at_s=1.5),
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A TOOLSPEND_HOME of the test's own, not made yet."""
    return tmp_path / "home"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose store holds a request and a call; tests only read it."""
    home = tmp_path_factory.mktemp("filled") / "home"
    spool = home / "spool"
    spool.mkdir(parents=True)
    (spool / "agent-1.spool").write_bytes(encode(otlp_requests.protobuf(traffic())))
    loaded = served.run(home, "ingest")
    assert (loaded.returncode, loaded.stdout) == (0, "1 source: 2 loaded, 0 already there, 0 refused\n"), loaded.stderr
    yield home


def one_line(text: str) -> str:
    """The text, which has to be one line of ours."""
    assert text.startswith("toolspend: ") and text.count("\n") == 1, text
    return text


@pytest.mark.parametrize("name", ["up", "demo", "ingest", "sql", "report", "audit", "reattribute", "doctor"])
def test_every_command_explains_itself(home: Path, name: str) -> None:
    """Its help says what it does and names the store's option, and nothing is made by asking."""
    shown = served.run_here(home, name, "--help")
    assert shown.returncode == 0
    assert "--verbose" in shown.stdout
    assert "--db" in shown.stdout
    assert not home.exists()


def test_the_version_is_said(home: Path) -> None:
    """One line, from the package."""
    from toolspend import __version__

    assert served.run_here(home, "--version").stdout == f"toolspend {__version__}\n"


def test_the_command_line_starts_without_the_frameworks() -> None:
    """Asking for help loads neither Streamlit nor pandas."""
    code = "import sys, toolspend_dashboard.cli; print(sorted({'streamlit', 'pandas', 'plotly'} & set(sys.modules)))"
    environment = served.environment(Path.cwd())
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout == "[]\n"
    )


def test_a_missing_extra_names_the_install_line(home: Path) -> None:
    """Without the dashboard's packages a command says what to install."""
    hidden = "import sys; sys.modules['duckdb'] = None; "
    done = subprocess.run(
        [sys.executable, "-c", hidden + served.START, "report"],
        env=served.environment(home),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "pip install 'toolspend[dashboard]'" in one_line(done.stderr)


def test_ingest_loads_files_once_and_says_what_became_of_them(home: Path, tmp_path: Path) -> None:
    """A second run loads nothing and is not an error."""
    file = tmp_path / "traces.jsonl"
    file.write_text(otlp_requests.json_text(traffic()) + "\n", encoding="utf-8")
    first, second = served.run_here(home, "ingest", file), served.run_here(home, "ingest", file)
    assert (first.returncode, first.stdout, first.stderr) == (0, "1 source: 2 loaded, 0 already there, 0 refused\n", "")
    assert second.returncode == 0
    assert second.stdout.startswith("1 source: 0 loaded")


def test_a_truncated_file_loads_what_is_whole_and_exits_with_1(home: Path, tmp_path: Path) -> None:
    """The damage is named on stderr and kept in ingest_log."""
    file = tmp_path / "cut.jsonl"
    whole = otlp_requests.json_text(traffic())
    file.write_text(whole + "\n" + whole[:300], encoding="utf-8")
    done = served.run_here(home, "ingest", file)
    assert done.returncode == 1
    assert "2 loaded" in done.stdout and "1 refused" in done.stdout
    assert "cut.jsonl: 1 refused (line 2:" in done.stderr and done.stderr.count("\n") == 1
    logged = served.run_here(home, "sql", "select refused, reason from ingest_log where refused > 0", "-f", "json")
    assert json.loads(logged.stdout)[0]["refused"] == 1
    assert "cut.jsonl" in served.run_here(home, "doctor").stdout


def test_the_spool_is_loaded_before_a_question_is_answered(home: Path) -> None:
    """`sql` sees what the spool held when it was typed."""
    spool = home / "spool"
    spool.mkdir(parents=True)
    (spool / "agent-1.spool").write_bytes(encode(otlp_requests.protobuf(traffic())))
    answer = served.run_here(home, "sql", "select count(*) as calls from tool_calls", "-f", "json")
    assert json.loads(answer.stdout) == [{"calls": 1}]


def test_rows_come_in_every_format(filled: Path, tmp_path: Path) -> None:
    """The same row as a table, CSV, JSON, JSON lines and Parquet."""
    query = "select tool, calls, total_cost_usd, [1, 2] as list, null as nothing from tool_costs"
    shown = {
        name: served.run_here(filled, "sql", query, "-f", name).stdout for name in ("table", "csv", "json", "jsonl")
    }
    assert "search" in shown["table"] and "1 row" in shown["table"]
    assert next(csv.DictReader(io.StringIO(shown["csv"])))["list"] == "[1, 2]"
    assert json.loads(shown["json"])[0]["calls"] == 1
    assert json.loads(shown["jsonl"])["nothing"] is None
    file = tmp_path / "rows.parquet"
    assert served.run_here(filled, "sql", query, "--format", "parquet", "--output", file).returncode == 0
    table = pq.read_table(file)
    assert table.column_names == ["tool", "calls", "total_cost_usd", "list", "nothing"]
    assert str(table.schema.field("total_cost_usd").type).startswith("decimal128")
    assert table.to_pylist()[0]["list"] == [1, 2]


def test_money_keeps_its_digits(filled: Path) -> None:
    """A decimal is shown with the digits of its type, never as a power of ten."""
    query = "select 0.000015::decimal(18, 9) as cost_usd, 1.5::double as ratio"
    for name in ("table", "csv"):
        shown = served.run_here(filled, "sql", query, "-f", name).stdout
        assert "0.000015000" in shown and "1.5" in shown and "e-05" not in shown


def test_a_value_cannot_control_the_terminal(filled: Path) -> None:
    """Escape sequences in values are shown as text."""
    query = "select chr(27) || '[2J' || chr(155) || '31m' || chr(8238) as x"
    for name in ("table", "json", "jsonl"):
        shown = served.run_here(filled, "sql", query, "-f", name).stdout
        assert not any(character in shown for character in "\x1b\x9b\u202e"), name
        assert "[2J" in shown


def test_hostile_sql_is_refused_in_one_line(filled: Path, tmp_path: Path) -> None:
    """The command line takes the sandbox's way."""
    for statement, says in (
        (f"copy (select 1) to '{tmp_path / 'written'}'", "copy cannot run here"),
        ("select * from read_text('/etc/passwd')", "out of a query's reach"),
        ("select * from spanz", 'Did you mean "spans"'),
        ("delete from spans", "delete cannot run here"),
    ):
        refused = served.run_here(filled, "sql", statement)
        assert refused.returncode == 2
        assert says in one_line(refused.stderr)
    assert list(tmp_path.iterdir()) == []


def test_cut_results_are_said(filled: Path) -> None:
    """The rows that are left out are mentioned on stderr, beside the rows on stdout."""
    cut = served.run_here(filled, "sql", "from range(100)", "-f", "csv", "--max-rows", "10")
    assert len(cut.stdout.splitlines()) == 11
    assert "only the first 10 rows" in cut.stderr


def test_a_reader_that_stops_early_is_no_error(filled: Path) -> None:
    """`toolspend sql ... | head` ends in silence."""
    arguments = " ".join(f"'{part}'" for part in served.command("sql", "from range(50000)", "-f", "csv")[:2])
    script = f'{arguments} "$0" sql "from range(50000)" -f csv | head -n 2'
    done = subprocess.run(
        ["sh", "-c", script, served.START], env=served.environment(filled), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("range\n0\n", "")


def test_the_report_is_the_bill(filled: Path) -> None:
    """Totals, coverage and tools, as text and as JSON, for all, for a time and for a session."""
    text = served.run_here(filled, "report")
    assert text.returncode == 0, text.stderr
    for part in ("Spend    $0.00450 in 1 request of 1 session", "usage known for 100 %", "search"):
        assert part in text.stdout
    content = json.loads(served.run_here(filled, "report", "--json").stdout)
    assert content["totals"]["cost_usd"] == pytest.approx(0.0045)
    assert content["totals"]["input_tokens"] == 1000
    assert content["coverage"]["priced"] == 1
    assert [tool["tool"] for tool in content["tools"]] == ["search"]
    whole = sum(part["cost_usd"] for part in content["others"]) + (content["tools"][0]["cost_usd"] or 0)
    assert whole == pytest.approx(0.0045)
    later = json.loads(served.run_here(filled, "report", "--since", "2030-01-01", "--json").stdout)
    assert later["totals"]["requests"] == 0
    other = served.run_here(filled, "report", "--session", "no-such-session")
    assert other.stdout.startswith("Nothing is stored for this selection")


def test_names_beyond_all_measure_are_cut_on_the_terminal(home: Path, tmp_path: Path) -> None:
    """The table and what is found keep to a screen; JSON has all of the name."""
    name = "search" + "x" * 100_000 + "web"
    definition = json.dumps([{"name": name, "description": "Looks.", "parameters": {"type": "object"}}])
    failing = {**CALL, "gen_ai.tool.name": name, "error.type": "e" * 100_000}
    asked = {**REQUEST, "gen_ai.response.model": "m" * 100_000, "gen_ai.tool.definitions": definition}
    made = [
        Made(1, 1, "chat", asked),
        *(Made(1, at, "call", {**failing, "gen_ai.tool.call.id": f"{at}"}, status="error") for at in range(2, 8)),
    ]
    file = tmp_path / "traces.json"
    file.write_text(otlp_requests.json_text(made), encoding="utf-8")
    assert served.run_here(home, "ingest", file).returncode == 0
    for command in ("report", "audit"):
        shown = served.run_here(home, command).stdout
        assert "searchxxx" in shown and "xxxweb" in shown
        assert len(shown) < 10_000 and shown.count("\n") < 60, shown
    assert json.loads(served.run_here(home, "report", "--json").stdout)["tools"][0]["tool"] == name


def test_what_has_no_credible_end_has_no_duration(home: Path, tmp_path: Path) -> None:
    """One that ends before it starts, or centuries later, is of unknown duration, not 0, and moves no quantile."""
    lasting = (1.0, -0.1, 1e10)
    made = [Made(1, at, "call", CALL | {"gen_ai.tool.call.id": f"{at}"}, lasts_s=s) for at, s in enumerate(lasting, 1)]
    made += [Made(1, 9, "chat", REQUEST, lasts_s=-0.1), Made(1, 10, "chat", {**REQUEST, "gen_ai.response.id": "b"})]
    file = tmp_path / "traces.json"
    file.write_text(otlp_requests.json_text(made), encoding="utf-8")
    assert served.run_here(home, "ingest", file).returncode == 0
    search = json.loads(served.run_here(home, "report", "--json").stdout)["tools"][0]
    assert (search["calls"], search["p50_ms"]) == (3, 1000.0)
    for relation, counts in (("tool_calls", "3,1"), ("llm_requests", "2,1")):
        counted = f"select count(*), count(duration_ms) from {relation}"
        assert served.run_here(home, "sql", counted, "-f", "csv").stdout.splitlines()[1] == counts
    stored = "select round(duration_ms) from spans order by span_id"
    assert served.run_here(home, "sql", stored, "-f", "csv").stdout.splitlines()[1:3] == ["1000.0", "-100.0"]


def test_reattribute_makes_every_figure_anew(home: Path, tmp_path: Path) -> None:
    """What was spoilt is as it was, and a line says what there is; without a store, none is made."""
    missing = served.run_here(home, "reattribute")
    assert (missing.returncode, home.exists()) == (2, False)
    assert "no store at" in one_line(missing.stderr)
    file = tmp_path / "traces.jsonl"
    file.write_text(otlp_requests.json_text(traffic()), encoding="utf-8")
    served.run_here(home, "ingest", file)
    before = served.run_here(home, "report", "--json").stdout
    with duckdb.connect(str(home / "toolspend.duckdb")) as con:
        con.execute("delete from context_ledger")
        con.execute("update llm_requests set cost_usd = 99")
    assert served.run_here(home, "report", "--json").stdout != before
    done = served.run_here(home, "reattribute")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("reattributed in ")
    assert done.stdout.endswith(": 1 request in 1 session, $0.00450, 0 cache breaks\n")
    assert served.run_here(home, "report", "--json").stdout == before


def test_an_unusable_time_says_what_to_give(filled: Path) -> None:
    """A usage error with the forms that are understood."""
    wrong = served.run_here(filled, "report", "--since", "yesterday-ish")
    assert wrong.returncode == 2
    assert "24h, 7d" in wrong.stderr


def test_the_doctor_changes_nothing(home: Path, filled: Path) -> None:
    """Where nothing is yet, it says what to run and makes nothing; where something is, it says what is known."""
    empty = served.run_here(home, "doctor")
    assert empty.returncode == 0, empty.stderr
    assert "does not exist yet: run `toolspend ingest` or `toolspend up`" in empty.stdout
    assert f"put them into {home / 'spool'}" in empty.stdout
    assert not home.exists()
    known = served.run_here(filled, "doctor").stdout
    assert "usage known for 1, priced 1" in known and "schema version" in known
    endpoint = served.run_here(home, "doctor", OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318").stdout
    assert "send them to http://collector:4318" in endpoint


def test_the_doctor_says_that_nothing_was_loaded_yet(tmp_path: Path) -> None:
    """A new store has no time of a last load."""
    home = tmp_path / "home"
    assert served.run_here(home, "ingest").returncode == 0
    assert "0 spans, none loaded yet" in served.run_here(home, "doctor").stdout


def test_sql_report_and_doctor_work_while_up_runs(tmp_path: Path) -> None:
    """The server has the file; commands get a snapshot from it, fresh to the span."""
    home = tmp_path / "home"
    with served.up(home) as server:
        assert server.send(traffic()).status == 200
        answer = served.run(home, "sql", "select count(*) as calls from tool_calls", "-f", "json")
        assert (answer.returncode, json.loads(answer.stdout or "[]")) == (0, [{"calls": 1}]), answer.stderr
        assert "1 request" in served.run(home, "report").stdout
        assert f"served at {server.url}" in served.run(home, "doctor").stdout


def test_ingest_while_up_runs_says_who_has_the_store(tmp_path: Path) -> None:
    """One line with the process that has it, and what to do; nothing is lost by it."""
    home = tmp_path / "home"
    file = tmp_path / "traces.jsonl"
    file.write_text(otlp_requests.json_text(traffic()), encoding="utf-8")
    with served.up(home) as server:
        refused = served.run(home, "ingest", file)
        assert refused.returncode == 2
        assert str(server.process.pid) in one_line(refused.stderr)


def test_a_store_that_another_process_has_is_one_line(home: Path) -> None:
    """Every command that needs the file names the process that has it."""
    home.mkdir()
    with Store.open(home / "toolspend.duckdb"):
        for arguments in (
            ("sql", "select 1"),
            ("ingest",),
            ("report",),
            ("reattribute",),
            ("doctor",),
            ("up", "--port", "0"),
        ):
            ports = ("--otlp-port", "0", "--grpc-port", "0") if arguments[0] == "up" else ()
            locked = served.run(home, *arguments, *ports)
            assert locked.returncode == 2, arguments
            assert f"process {os.getpid()}" in one_line(locked.stderr)


def test_a_newer_store_is_refused_by_name(home: Path) -> None:
    """The message names the file, both versions and the upgrade."""
    home.mkdir()
    path = home / "toolspend.duckdb"
    Store.open(path).close()
    with duckdb.connect(str(path)) as con:
        con.execute("insert into migrations values (999, '0999_later')")
    refused = served.run_here(home, "report")
    assert refused.returncode == 2
    assert str(path) in one_line(refused.stderr) and "999" in refused.stderr and "pip install -U" in refused.stderr


def test_a_file_that_is_no_store_is_refused(home: Path, tmp_path: Path) -> None:
    """--db on some other file leaves it as it was."""
    other = tmp_path / "notes.txt"
    other.write_text("not a database" * 1000, encoding="utf-8")
    refused = served.run_here(home, "sql", "select 1", "--db", other)
    assert refused.returncode == 2
    assert str(other) in one_line(refused.stderr)
    assert other.read_text(encoding="utf-8") == "not a database" * 1000


def test_a_path_that_cannot_be_used_is_one_line(home: Path, tmp_path: Path) -> None:
    """A missing input, and a home that is a file."""
    missing = served.run_here(home, "ingest", tmp_path / "none.jsonl")
    assert missing.returncode == 2
    assert "none.jsonl" in one_line(missing.stderr)
    (tmp_path / "file").write_text("", encoding="utf-8")
    blocked = served.run_here(tmp_path / "file", "report")
    assert blocked.returncode == 2
    assert str(tmp_path / "file") in one_line(blocked.stderr)


def test_verbose_shows_the_trace(home: Path, tmp_path: Path) -> None:
    """The line stays, with the trace before it."""
    shown = served.run_here(home, "ingest", tmp_path / "none.jsonl", "--verbose").stderr
    assert shown.startswith("Traceback") and "\ntoolspend: " in shown


def test_the_demo_loads_every_sample_and_refuses_nothing(home: Path) -> None:
    """What lies beside the stories is none."""
    with served.up(home, "--no-browser", command_name="demo"):
        log = served.run(home / "demo", "sql", "select source, refused from ingest_log", "-f", "json")
    loads = json.loads(log.stdout)
    assert {Path(row["source"]).name for row in loads} == {path.name for path in SAMPLES.glob("*.jsonl")}
    assert not any(row["refused"] for row in loads)
    loaded = served.run_here(home, "ingest", SAMPLES)
    assert loaded.returncode == 0, loaded.stderr


def test_the_demo_shows_samples_in_a_store_of_its_own(home: Path, tmp_path: Path) -> None:
    """The traces given are served; the user's own store and spool are not touched."""
    traces = tmp_path / "traces"
    traces.mkdir()
    (traces / "story.jsonl").write_text(otlp_requests.json_text(traffic()), encoding="utf-8")
    (home / "spool").mkdir(parents=True)
    own = encode(otlp_requests.protobuf([Made(9, 9, "mine")]))
    (home / "spool" / "agent-1.spool").write_bytes(own)
    with served.up(home, "--traces", traces, "--no-browser", command_name="demo") as server:
        asked = served.run(home / "demo", "sql", "select name from spans order by name", "-f", "json")
        assert [row["name"] for row in json.loads(asked.stdout)] == ["chat claude-sonnet-4-5", "execute_tool search"]
        assert server.get("/healthz").json["status"] == "ok"
        again = served.run(home, "demo", "--no-browser", "--traces", traces)
        assert again.returncode == 2 and server.url in one_line(again.stderr)
    assert (home / "spool" / "agent-1.spool").read_bytes() == own
    assert not (home / "toolspend.duckdb").exists()


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        (["up"], "TOOLSPEND_HOME"),
        (["demo"], "TOOLSPEND_HOME"),
        (["ingest"], "TOOLSPEND_HOME"),
        (["sql", "select 1"], "TOOLSPEND_HOME"),
        (["report"], "TOOLSPEND_HOME"),
        (["audit"], "TOOLSPEND_HOME"),
        (["reattribute"], "TOOLSPEND_HOME"),
        (["doctor"], "TOOLSPEND_HOME"),
        (["ingest", "--db", "~no_such_user/store.duckdb"], "--db"),
        (["ingest", "--claude-code"], "CLAUDE_CONFIG_DIR"),
    ],
)
def test_a_home_that_nobody_knows_is_one_line(home: Path, arguments: list[str], variable: str) -> None:
    """A path below the home of a user that does not exist: one line that names what gave it."""
    shown = served.run_here(home, *arguments, **{variable: "~no_such_user/data"})
    assert shown.returncode == 2
    assert variable in one_line(shown.stderr)
    assert "whole path" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope': `toolspend -h` says what it takes"),
        (
            ["report", "--since", "nope"],
            "'nope' is not a time: give 24h, 7d, or a date such as 2026-01-31: `toolspend report -h`",
        ),
        (["report", "--bar"], "No such option: --bar"),
        (["sql"], "`toolspend sql -h` says what it takes"),
        (["up", "--port", "99999"], "'--port'"),
    ],
)
def test_what_was_typed_wrongly_is_one_line(home: Path, arguments: list[str], said: str) -> None:
    """As every other error; the exit code is 2."""
    done = served.run_here(home, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("toolspend: ") and done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr
