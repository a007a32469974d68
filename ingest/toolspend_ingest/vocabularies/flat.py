"""Attributes that spell out a list by index, `gen_ai.prompt.0.role`, put together as the nested values they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST = 100_000
"""A higher index is garbage, not a place in a list."""


def lists(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """The list under `prefix` (with its full stop), in the order of its indexes; empty where there is none."""
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            _put(tree, name[len(prefix) :].split("."), value)
    found = _closed(tree)
    return found if isinstance(found, list) else []


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        below = tree.get(step)
        if not isinstance(below, dict):
            below = tree[step] = {}
        tree = below
    if not isinstance(tree.get(path[-1]), dict):
        tree[path[-1]] = value


def _closed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() and int(key) < _MOST for key in value):
        return [_closed(value[key]) for key in sorted(value, key=int)]
    return {key: _closed(each) for key, each in value.items()}
