"""What changed between two JSON Schemas of arguments, and whether a call that was right can now be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..evidence.definitions import canonical

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "examples", "example", "$comment", "$schema", "$id", "deprecated", "readOnly", "writeOnly"}
)
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_KNOWN: Final = frozenset(
    {"type", "properties", "required", "enum", "const", "additionalProperties", "items", "default", *_LOWER, *_UPPER}
)
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. Breaking: a call that fitted the old schema may not fit the new one, or means another thing."""

    path: str
    what: str
    is_breaking: bool

    def __str__(self) -> str:
        return f"{'breaking' if self.is_breaking else 'compatible'}: {self.path or 'arguments'}: {self.what}"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every difference. What cannot be shown to be compatible (a pattern, a union, a reference) counts as breaking."""
    return list(_changes(old, new, ""))


def _changes(old: Any, new: Any, path: str) -> Iterator[Change]:
    if canonical(old) == canonical(new):
        return
    if isinstance(old, bool) or isinstance(new, bool) or not isinstance(old, Mapping) or not isinstance(new, Mapping):
        is_open = new is True or new == {}
        yield Change(path, "anything goes now" if is_open else "another schema", not is_open)
        return
    yield from _types(old, new, path)
    yield from _values(old, new, path)
    yield from _bounds(old, new, path)
    yield from _properties(old, new, path)
    if old.get("items", True) != new.get("items", True):
        yield from _changes(old.get("items", True), new.get("items", True), f"{path}[]")
    if old.get("default", _MISSING) != new.get("default", _MISSING):
        # Left out, the argument now means another thing.
        yield Change(path, f"default {_said(old, 'default')} is now {_said(new, 'default')}", "default" in old)
    for key in sorted(old.keys() | new.keys()):
        if key in _KNOWN or canonical(old.get(key)) == canonical(new.get(key)):
            continue
        if key in _ANNOTATIONS:
            yield Change(path, f"{key} says something else", False)
        else:
            yield Change(path, f"{key} differs", key in new or key in ("$ref", "$defs"))


def _types(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    before, after = _type_set(old), _type_set(new)
    if before == after:
        return
    lost = None if after is None else (before or {"any type"}) - after
    if lost and after and "number" in after:
        lost = lost - {"integer"}
    yield Change(path, f"type {_names(before)} is now {_names(after)}", bool(lost))


def _values(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    before, after = _enum(old), _enum(new)
    if before is None and after is None:
        return
    if before is None:
        yield Change(path, f"only {len(after or ())} values are allowed now", True)
    elif after is None:
        yield Change(path, "any value is allowed now", False)
    else:
        if lost := before - after:
            yield Change(path, f"no longer allowed: {', '.join(sorted(lost))}", True)
        if added := after - before:
            yield Change(path, f"also allowed: {', '.join(sorted(added))}", False)


def _bounds(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    for keys, sign in ((_LOWER, 1), (_UPPER, -1)):
        for key in keys:
            was, now = old.get(key), new.get(key)
            if was == now:
                continue
            narrower = now is not None and (was is None or sign * now > sign * was)
            yield Change(path, f"{key} {_said(old, key)} is now {_said(new, key)}", narrower)


def _properties(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    before, after = old.get("properties") or {}, new.get("properties") or {}
    required_before, required_after = set(old.get("required") or ()), set(new.get("required") or ())
    closed = new.get("additionalProperties", True)
    for name in before.keys() - after.keys():
        yield Change(_join(path, name), "removed", True)
    for name in before.keys() & after.keys():
        yield from _changes(before[name], after[name], _join(path, name))
    for name in after.keys() - before.keys():
        is_needed = name in required_after
        # A caller may have sent any value under a name that was not defined.
        yield Change(_join(path, name), "added, required" if is_needed else "added, optional", is_needed)
    for name in sorted(required_after - required_before - (after.keys() - before.keys())):
        yield Change(_join(path, name), "required now", True)
    for name in sorted(required_before - required_after - (before.keys() - after.keys())):
        yield Change(_join(path, name), "optional now", False)
    was = old.get("additionalProperties", True)
    if canonical(was) != canonical(closed):
        yield Change(
            path, "other arguments are " + ("allowed now" if closed is True else "restricted now"), closed is not True
        )


def _type_set(schema: Mapping[str, Any]) -> set[str] | None:
    said = schema.get("type")
    return None if said is None else {said} if isinstance(said, str) else set(said)


def _enum(schema: Mapping[str, Any]) -> set[str] | None:
    if "const" in schema:
        return {canonical(schema["const"])}
    return {canonical(value) for value in schema["enum"]} if isinstance(schema.get("enum"), list) else None


def _names(types: set[str] | None) -> str:
    return "any" if types is None else " or ".join(sorted(types))


def _said(schema: Mapping[str, Any], key: str) -> str:
    return canonical(schema[key]) if key in schema else "none"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
