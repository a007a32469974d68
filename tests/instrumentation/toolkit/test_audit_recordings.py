"""The audit on recorded tool lists: what it counts is what was counted without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolspend.toolkit import audit

SERVERS = ("mcp-server-fetch", "mcp-server-git", "mcp-server-time", "chrome-devtools-mcp", "upstash__context7-mcp",
           "wonderwhy-er__desktop-commander", "playwright__mcp")  # fmt: skip

# The pairs that the audit finds alike, the later tool first; each was read in its list.
ALIKE = {
    "alfresco": {"get_node_metadata": "get_node"},
    "cylera-mcp-server": {"get_device_attributes": "get_device"},
    "maestro-mcp-server": {"get_mempool_address_runes": "get_address_runes"},
    "notion-remote": {"retrieve_page": "read_page"},
    "stripe-remote": {"fetch_stripe_resources": "search_stripe_resources"},
    "vectra-ai-rux-mcp-server": {
        "list_detections_with_basic_info": "list_detections_with_details",
        "list_detection_ids": "list_detections_with_details",
        "Summarize Detection": "get_detection_summary",
    },
    "wayfound": {"get_manager_analysis_for_agent": "get_agent_details"},
    "wonderwhy-er__desktop-commander": {"kill_process": "force_terminate"},
    "zscaler-mcp-server": {
        "zdx_list_historical_alerts": "zdx_list_alerts",
        "zia_list_web_dlp_rules_lite": "zia_list_web_dlp_rules",
        "zid_get_group_users_by_name": "zid_get_group_users",
        "zid_get_user_groups_by_name": "zid_get_user_groups",
        "zid_search_groups": "zid_list_groups",
        "zid_search_users": "zid_list_users",
        "zms_list_policy_rules": "zms_list_default_policy_rules",
        "ztw_create_ip_group": "ztw_create_ip_destination_group",
        "ztw_create_ip_source_group": "ztw_create_ip_group",
        "ztw_delete_ip_group": "ztw_delete_ip_destination_group",
        "ztw_delete_ip_source_group": "ztw_delete_ip_group",
        "ztw_list_ip_destination_groups_lite": "ztw_list_ip_destination_groups",
        "ztw_list_ip_groups": "ztw_list_ip_destination_groups",
        "ztw_list_ip_groups_lite": "ztw_list_ip_destination_groups_lite",
        "ztw_list_ip_source_groups": "ztw_list_ip_groups",
        "ztw_list_ip_source_groups_lite": "ztw_list_ip_groups_lite",
    },
}
# Their descriptions tell which is which: these were found wrongly.
PLAIN = {"list_detection_ids", "zms_list_policy_rules"}


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


def test_tools_that_are_alike_are_those_that_a_reader_cannot_tell_apart(recordings: Path) -> None:
    """In all recorded lists: nothing else is found, and of what is found less than a tenth wrongly."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((recordings / "mcp_tools").glob("*/*.json")):
        if path.name == "expected.json":
            continue
        said = read(path)
        tools = said if isinstance(said, list) else [tool for page in said["tools_list"] for tool in page["tools"]]
        for each in audit(tools):
            if each.check in ("overlapping_tools", "unclear_choice"):
                server = found.setdefault(path.name.removesuffix(".json").removesuffix(".tools"), {})
                (server[each.tool],) = each.related
    assert found == ALIKE
    tools_found = [tool for server in found.values() for tool in server]
    assert len(PLAIN.intersection(tools_found)) < 0.1 * len(tools_found)


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
