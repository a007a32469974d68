"""The audit on recorded tool lists: what it counts is what was counted without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolspend.toolkit import audit

SERVERS = ("mcp-server-fetch", "mcp-server-git", "mcp-server-time", "chrome-devtools-mcp", "upstash__context7-mcp",
           "wonderwhy-er__desktop-commander", "playwright__mcp")  # fmt: skip


@pytest.fixture(scope="module")
def live(recordings: Path) -> Path:
    return recordings / "mcp_tools" / "live_tools_list"


@pytest.fixture(scope="module")
def catalogue(recordings: Path) -> Path:
    return recordings / "mcp_tools" / "docker-mcp-registry"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def counted(tools: list[Any]) -> dict[str, Any]:
    """What the findings say, in the words of `expected.json`."""
    found = audit(tools)
    return {
        "params_without_description": sum(len(f.parameters) for f in found if f.check == "undocumented_parameters"),
        "no_description": [f.tool for f in found if f.check == "missing_description"],
        "duplicate_names": [f.tool for f in found if f.check == "duplicate_name"],
        "bad_names": [f.tool for f in found if f.check == "invalid_name"],
    }


@pytest.mark.parametrize("server", SERVERS)
def test_what_a_live_list_lacks_is_found(live: Path, server: str) -> None:
    """Undocumented parameters, missing descriptions, doubled names and names that APIs refuse, as recorded."""
    expected = read(live / "expected.json")["servers"][server]
    tools = [tool for page in read(live / f"{server}.json")["tools_list"] for tool in page["tools"]]
    assert len(tools) == expected["tools"]
    assert counted(tools) == {
        "params_without_description": expected["params_without_description"],
        "no_description": expected["no_description"],
        "duplicate_names": expected["duplicate_names"],
        "bad_names": [*expected["name_over_64"], *expected["name_bad_chars"]],
    }


def test_what_a_catalogue_lacks_is_found(catalogue: Path) -> None:
    """In the catalogue's own form: each server's tools, missing descriptions, and parameters without a `desc`."""
    silent = 0
    for server, expected in read(catalogue / "expected.json")["servers"].items():
        tools = read(catalogue / f"{server}.tools.json")
        assert len(tools) == expected["tools"]
        found = counted(tools)
        assert len(found["no_description"]) == expected["no_description"]
        rows = [row for tool in tools for row in tool.get("arguments") or ()]
        schemas = [tool["inputSchema"]["properties"] for tool in tools if tool.get("inputSchema")]
        undescribed = [row for row in rows if not row.get("desc")]
        undescribed += [said for schema in schemas for said in schema.values() if not said.get("description")]
        assert found["params_without_description"] == len(undescribed), server
        silent += len(undescribed)
    assert silent > 0
