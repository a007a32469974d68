"""Each check of the audit: a tool that it speaks of, and the same tool put right, of which it does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from toolspend.toolkit import Tool, audit
from toolspend.toolkit.audit import CHECKS, SEVERITIES, Finding, is_at_least, scores
from toolspend.toolkit.audit.subjects import subjects

Definition = dict[str, Any]

TEXT = {"type": "string"}


def tool(
    name: str, description: str = "Reads the weather report of one station, in full.", **parameters: Any
) -> Definition:
    """A definition as Anthropic takes it; parameters that start with `_` are further fields."""
    fields = {key[1:]: parameters.pop(key) for key in list(parameters) if key.startswith("_")}
    schema = {"type": "object", "properties": parameters, "required": fields.pop("required", [])}
    return {"name": name, "description": description, "input_schema": schema, **fields}


def mcp_tool(name: str, description: str, output: Any = None, **hints: bool) -> Definition:
    """A definition as an MCP server lists it."""
    listed: Definition = {"name": name, "description": description, "inputSchema": {"type": "object"}}
    return {**listed, **({"outputSchema": output} if output else {}), **({"annotations": hints} if hints else {})}


def described(text: str, **schema: Any) -> Definition:
    """A parameter with a description."""
    return {"type": "string", "description": text, **schema}


def forgets(query: str) -> list[str]:
    """Hides what went wrong."""
    try:
        return [query]
    except Exception:
        return []


def tells(query: str) -> list[str]:
    """Lets what went wrong through."""
    try:
        return [query]
    except Exception as error:
        raise ValueError(f"{query!r} cannot be searched: {error}; use plain words") from error


def cleans(path: str) -> str:
    """Changes the disk."""
    shutil.rmtree(path)
    return "done"


def looks(path: str) -> str:
    """Changes nothing."""
    with Path(path).open() as file:
        return file.read()


def toolkit_tool(handler: Any, *, has_side_effects: bool | None = None, name: str = "tidy_up") -> Any:
    """A tool of the tool layer with a handler."""
    return Tool(
        name, "Tidies one folder of the workspace.", {"type": "object"}, handler, has_side_effects=has_side_effects
    )


LONG = "Reads one report. " + "It has many details that are told here at length. " * 120
SHARED = (
    "Paths are always absolute and lie in the workspace; what lies outside of it can neither be read nor written here. "
    "Links are followed."
)

CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "union_of_actions": (
        [tool("notes", action={"type": "string", "enum": ["list", "create", "delete"], "description": "What to do"})],
        # Two answers to one dialog are no two tools.
        [tool("dialog", action={"type": "string", "enum": ["accept", "dismiss"], "description": "What to do"})],
    ),
    "several_actions": (
        [tool("notes", "List, create or delete notes of one notebook.")],
        [tool("notes", "Create or update a note of one book."), tool("scan", "Run and display a scan of one host.")],
    ),
    "overlapping_tools": (
        [tool("get_node", "Get details of a node"), tool("get_node_metadata", "Get metadata and properties of a node")],
        [tool("get_group_users", "Get users in a group"), tool("get_user_groups", "Get groups of a user")],
    ),
    "duplicate_name": ([tool("read"), tool("read")], [tool("read"), tool("write_report")]),
    "missing_description": ([tool("read_report", "")], [tool("read_report")]),
    "restates_name": (
        [tool("delete_task", "Delete a task")],
        [tool("git_branch", "List Git branches"), tool("list_tasks", "Get all tasks for a task list")],
    ),
    "name_disagrees": (
        [tool("get_profile", "Manage profiles of one tenant (read-only)")],
        [tool("get_profile", "Fetches the profile of one tenant")],
    ),
    "invalid_name": ([tool("Summarize Report")], [tool("summarize_report")]),
    "undocumented_parameters": ([tool("read", station=TEXT)], [tool("read", station=described("Its number"))]),
    "missing_unit": (
        [tool("wait", timeout={"type": "number", "description": "How long to wait at most"})],
        [
            tool("wait", timeout={"type": "number", "description": "How long to wait, in seconds"}),
            tool("wait_more", timeout_ms={"type": "number", "description": "How long to wait"}),
        ],
    ),
    "missing_format": (
        [tool("read", start_date=described("First day"))],
        [
            tool("read", start_date=described("First day, as 2026-01-31")),
            tool("see", updated_at=described("When it was changed", format="date")),
        ],
    ),
    "choices_in_prose": (
        [tool("read", kind=described("One of: short, long, raw"))],
        [
            tool("read", kind=described("For example 'short' or 'long'")),
            tool("fill", value=described("'true' or 'false' for boxes, else the text")),
            tool("find", text=described("Plain text. Provide either text or regex.")),
            tool("tint", color=described("One of 'red', 'blue' or any other name")),
        ],
    ),
    "untyped_parameter": (
        [tool("read", content={"description": "What to write"})],
        [tool("read", content={"anyOf": [{"type": "string"}, {"type": "number"}], "description": "What to write"})],
    ),
    "required_with_default": (
        [tool("read", level=described("How much", default="info"), _required=["level"])],
        [tool("read", level=described("How much", default="info"))],
    ),
    "single_choice": (
        [tool("read", action=described("What", enum=["read"]), _required=["action"])],
        [tool("read", action=described("What", enum=["read", "skim"]), _required=["action"])],
    ),
    "unknown_tool_mentioned": (
        [tool("list_files", "Lists one folder. Use this instead of 'execute_command' with ls."), tool("read")],
        [tool("list_files", "Lists one folder. Use read_report for what is in a file."), tool("read_report")],
    ),
    "unclear_choice": (
        [tool("list_alerts", "List alerts of a site."), tool("list_past_alerts", "List the past alerts of a site.")],
        # A word that is another tool's thing is plain.
        [
            tool("list_alerts", "List the alerts of a site."),
            tool("list_pod_alerts", "List the alerts of a pod."),
            tool("list_pods", "List the pods of a site."),
        ],
    ),
    "inconsistent_parameters": (
        [
            tool("read_a", org=described("The slug of the organization that owns it")),
            tool("read_b", org=described("The slug of the organization that owns it")),
            tool("read_c", org_slug=described("The slug of the organization that owns it")),
        ],
        # One text for two parameters of one tool: their names say what differs.
        [
            tool("drag", start_target=described("Exact reference of the target element"),
                 end_target=described("Exact reference of the target element")),
            tool("click", target=described("Exact reference of the target element")),
        ],
    ),
    "repeated_text": (
        [tool(f"read_{each}", f"Reads {each} reports.\n{SHARED}") for each in ("short", "long", "raw")],
        [tool(f"read_{each}", f"Reads {each} reports.\n{SHARED}") for each in ("short", "long")],
    ),
    "long_definition": ([tool("read", LONG)], [tool("read", LONG[:400])]),
    "open_output_schema": (
        [mcp_tool("read", "Reads one report.", {"type": "object"})],
        [mcp_tool("read", "Reads one report.", {"type": "object", "properties": {"text": TEXT}})],
    ),
    "swallowed_errors": ([toolkit_tool(forgets)], [toolkit_tool(tells)]),
    "read_only_contradicted": (
        [mcp_tool("delete_report", "Deletes one report for good, permanently.", readOnlyHint=True)],
        [mcp_tool("delete_report", "Deletes one report for good, permanently.", readOnlyHint=False)],
    ),
    "destructive_contradicted": (
        [mcp_tool("delete_report", "Deletes one report permanently.", readOnlyHint=False, destructiveHint=False)],
        [mcp_tool("add_report", "Adds one report.", readOnlyHint=False, destructiveHint=False)],
    ),
    "side_effects_unmarked": (
        [mcp_tool("send_report", "Sends one report by mail."), mcp_tool("read_report", "Reads one report.")],
        [mcp_tool("send_report", "Sends one report (write operation)."), mcp_tool("read_report", "Reads one.")],
    ),
    "consequences_unsaid": (
        [tool("delete_report", "Deletes the report of one station.")],
        [
            tool("delete_report", "Moves the report of one station to the trash."),
            tool("remove_tag", "Removes a tag from one report."),
        ],
    ),
}  # fmt: skip


def of_check(tools: list[Any], check: str) -> list[Finding]:
    return [finding for finding in audit(tools) if finding.check == check]


@pytest.mark.parametrize("check", CASES)
def test_a_check_speaks_of_what_is_wrong_and_of_nothing_else(check: str) -> None:
    """Each check has a tool that it finds fault with, and one that is right where the other is wrong."""
    wrong, right = CASES[check]
    assert of_check(wrong, check), check
    assert not of_check(right, check), check


def test_every_check_of_definitions_is_tried() -> None:
    """What has no case here is seen in traces alone."""
    seen = {"varying_output", "unbounded_output", "unhandled_exceptions", "errors_without_guidance"}
    assert set(CASES) | seen == {name for name, each in CHECKS.items() if each.question != "use"}


@pytest.mark.parametrize("check", CASES)
def test_a_hint_names_what_it_is_about(check: str) -> None:
    """Evidence or hint quote the tool, its parameter or its own words: no advice that fits any tool."""
    given = subjects(CASES[check][0])
    own = {
        word for each in given for word in (each.name, *(p.name for p in each.parameters or ()), each.description[:25])
    }
    for finding in of_check(CASES[check][0], check):
        assert finding.severity in SEVERITIES
        assert finding.hint and finding.evidence
        assert any(word and word in finding.evidence + finding.hint for word in own), finding


def test_what_a_handler_does_is_held_against_what_is_declared() -> None:
    """A handler that removes a folder is not free of side effects, whatever its tool says; one that reads is."""
    assert of_check([toolkit_tool(cleans, has_side_effects=False)], "read_only_contradicted")[0].severity == "error"
    assert not of_check([toolkit_tool(looks, has_side_effects=False)], "read_only_contradicted")
    assert "shutil.rmtree" in of_check([toolkit_tool(cleans)], "side_effects_unmarked")[0].evidence
    assert not of_check([toolkit_tool(cleans, has_side_effects=True)], "side_effects_unmarked")


@pytest.mark.parametrize(
    ("check", "given", "evidence"),
    [
        ("several_actions", tool("notes", "Create a note, list notes, or delete one."), "list (read), delete (delete)"),
        ("several_actions", tool("notes", "Manage notes: list them, delete old ones."), "list (read), delete (delete)"),
        ("several_actions", tool("create_and_send_note"), "Its name joins create (create), send (change)."),
        ("several_actions", tool("find_user", "Find or create the user of an address."), None),
        ("several_actions", tool("upload_note", "Uploads a note and gets its address."), None),
        ("several_actions", tool("write_query", "Execute an INSERT, UPDATE, or DELETE query."), None),
        ("several_actions", tool("find_notes", "Search notes by title, text or read date."), None),
        ("several_actions", tool("search_and_replace", "Replaces a text in the notes of a book."), None),
        ("name_disagrees", tool("search_and_replace", "Replaces a text in the notes of a book."), None),
        ("union_of_actions", tool("notes", action=described("One of: list, create")), "list (read), create (create)"),
        ("union_of_actions", tool("notes", action=described("list, create or delete")), "delete (delete)"),
        ("union_of_actions", tool("notes", mode=described("One of: rewrite, append")), None),
    ],
)
def test_actions_are_found_wherever_they_are_joined(check: str, given: Definition, evidence: str | None) -> None:
    """In a name, in clauses of a description, in the prose of a parameter; what is one action is left alone."""
    found = [each.evidence for each in of_check([given], check)]
    assert not found if evidence is None else evidence in found[0]


def test_every_form_of_a_tool_gives_the_same_findings() -> None:
    """Anthropic's, OpenAI's and MCP's forms, a catalogue's and our own: the same parameter lacks its description."""
    schema = {"type": "object", "properties": {"station": TEXT}}
    text = "Reads the weather report of one station."
    forms = [
        {"name": "read", "description": text, "input_schema": schema},
        {"type": "function", "function": {"name": "read", "description": text, "parameters": schema}},
        {"name": "read", "description": text, "inputSchema": schema},
        {"name": "read", "description": text, "arguments": [{"name": "station", "type": "string"}]},
        Tool("read", text, schema),
        SimpleNamespace(name="read", description=text, schema=schema),
    ]
    found = [[(each.check, each.parameters) for each in audit([form])] for form in forms]
    assert found == [[("undocumented_parameters", ("station",))]] * len(forms)


def test_an_mcp_object_is_audited_like_its_json() -> None:
    """What `list_tools` of a client returns can be given as it is."""
    types = pytest.importorskip("mcp.types")
    listed = {"name": "delete_report", "description": "", "inputSchema": {"type": "object"},
              "annotations": {"readOnlyHint": True}}  # fmt: skip
    assert audit([types.Tool.model_validate(listed)]) == audit([listed])


def test_what_is_not_known_is_not_held_against_a_tool() -> None:
    """A catalogue without parameters, and a form without a place for side effects, are no findings."""
    silent = {"name": "delete_report", "description": "Deletes one report permanently, in every language."}
    assert audit([{**silent, "input_schema": {"type": "object"}}]) == []
    assert not of_check([{**silent, "arguments": []}], "undocumented_parameters")


@pytest.mark.parametrize(
    ("name", "silent", "told", "no_quantity"),
    [
        ("max_file_size", "The largest that is taken", "The largest that is taken, in MB", "page_size"),
        ("age", "How old it may be", "How old it may be, in years", "age_group_id"),
        ("weight", "What the parcel weighs", "What the parcel weighs, in kg", "weight_index"),
        ("total_price", "What it is sold for", "What it is sold for, in euros", "price_count"),
        ("temperature", "How warm the oven is to be", "How warm it is to be, in °C", "temperature_level"),
        ("wind_speed", "How fast it blows", "How fast it blows, in m/s", "speed_factor"),
    ],
)
def test_a_quantity_needs_its_unit(name: str, silent: str, told: str, no_quantity: str) -> None:
    """Sizes of data, ages, weights, prices, temperatures and speeds; beside a `currency` or the like it is said."""

    def found(name: str, text: str, **beside: Any) -> list[Finding]:
        number = {"type": "number", "description": text}
        return of_check([tool("read", **{name: number}, **beside)], "missing_unit")

    [finding] = found(name, silent)
    assert finding.parameters == (name,) and silent in finding.evidence
    assert not found(name, told)
    assert not found(no_quantity, silent)
    assert not found(name, silent, currency_or_unit=described("One of the known ones"))


def test_the_temperature_of_a_model_has_no_unit() -> None:
    """As its neighbours tell, or its own description."""
    number = {"type": "number", "description": "How free the answer is"}
    assert not of_check([tool("ask", temperature=number, model=described("Which one"))], "missing_unit")
    number["description"] = "Sampling temperature"
    assert not of_check([tool("ask", temperature=number)], "missing_unit")


def test_prose_that_tells_of_a_parameter_makes_it_a_lesser_fault() -> None:
    """Said in the tool's description: a note. Said nowhere: a warning, which names what is missing."""
    told = of_check(
        [tool("read", "Reads from line 'offset' on.", offset={"type": "integer"})], "undocumented_parameters"
    )
    untold = of_check([tool("read", "Reads a file.", offset={"type": "integer"})], "undocumented_parameters")
    assert (told[0].severity, untold[0].severity) == ("note", "warning")
    assert "`offset` (integer)" in untold[0].hint


def test_scores_fall_with_what_is_found() -> None:
    """100 without findings, less for graver ones, never below 0; the gravest findings come first."""
    tools = [tool("read_report", "", a=TEXT), tool("fine", "Reads the weather report of one station, in full.")]
    found = audit(tools)
    assert [each.severity for each in found] == sorted((each.severity for each in found), key=SEVERITIES.index)
    assert scores(["read_report", "fine"], found) == {"read_report": 60, "fine": 100}
    assert scores(["x"], [Finding("x", "invalid_name", "error", "", "")] * 9) == {"x": 0}
    assert is_at_least("error", "warning") and not is_at_least("note", "warning")


@pytest.mark.parametrize("given", [3, {"description": "no name"}])
def test_what_is_no_tool_is_refused_in_one_line(given: Any) -> None:
    """The message says what was given."""
    with pytest.raises((TypeError, ValueError), match=r"^audit: .+$"):
        audit([given])


def test_hostile_definitions_cost_nobody_else() -> None:
    """Schemas of any shape and texts of any kind are looked at without an exception."""
    odd = [
        {"name": "a", "description": None, "input_schema": {"properties": {"x": True, "y": {"type": ["string", 3]}}}},
        {"name": "b" * 200, "description": "`" * 9, "input_schema": {"properties": [], "required": "x"}},
        {
            "name": "",
            "description": "\x00\u202e",
            "inputSchema": {"properties": {"": {"enum": [None, {}], "anyOf": [1]}}},
        },
        {"name": "c", "description": "List of", "arguments": [1, {"name": None}], "annotations": []},
    ]
    assert audit(odd)
