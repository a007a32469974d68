"""The lowest version of each dependency that `pyproject.toml` admits, as pip constraints, on standard output."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

# The SDK's lowest version has an environment of its own: it emits no spans, and needs an older httpx.
SKIPPED = {"anthropic"}


def constraints(project: dict[str, object]) -> list[str]:
    """`name==version` for each `name>=version`, runtime dependencies and extras, not the tools of development."""
    table = project["project"]
    assert isinstance(table, dict)
    listed = [*table["dependencies"], *(each for extra in table["optional-dependencies"].values() for each in extra)]
    found = [re.fullmatch(r"([A-Za-z0-9.-]+)>=([0-9a-z.]+)(?:;.*)?", each) for each in listed]
    return sorted(f"{match[1]}=={match[2]}" for match in found if match and match[1] not in SKIPPED)


if __name__ == "__main__":
    path = Path(__file__).parents[1] / "pyproject.toml"
    print("\n".join(constraints(tomllib.loads(path.read_text(encoding="utf-8")))))
