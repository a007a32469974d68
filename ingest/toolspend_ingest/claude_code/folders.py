"""Where Claude Code keeps its session files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from toolspend._home import expanded

from ..errors import SessionsMissing

CONFIG_DIR: Final = "CLAUDE_CONFIG_DIR"
_PROJECTS: Final = "projects"


def project_folders() -> list[Path]:
    """The folders of session files: those of CLAUDE_CONFIG_DIR (several with commas between), else the usual ones.

    Also those that do not exist.
    """
    listed = [part.strip() for part in os.environ.get(CONFIG_DIR, "").split(",")]
    bases = [expanded(Path(part), CONFIG_DIR) for part in listed if part]
    if not bases:
        home = expanded(Path("~"), CONFIG_DIR)
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        bases = [config / "claude", home / ".claude"]
    return [base if base.name == _PROJECTS else base / _PROJECTS for base in bases]


def is_session_path(path: Path) -> bool:
    """Whether a file lies where Claude Code keeps its sessions; its first line may not be whole yet."""
    return path.suffix == ".jsonl" and _PROJECTS in path.parts


def is_side_file(path: Path) -> bool:
    """Whether a file lies there and is none: indexes, what is said of subagents, results that were too long."""
    is_named_so = path.name == "sessions-index.json" or path.name.endswith(".meta.json")
    return _PROJECTS in path.parts and (is_named_so or "tool-results" in path.parts)


def found_sessions() -> list[Path]:
    """The session files in those folders, a session's own before those of its subagents; each file once.

    Raises `SessionsMissing` where there is none.
    """
    folders = project_folders()
    found: dict[Path, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.jsonl"), key=lambda path: (len(path.parts), path)):
            if path.is_file():
                found.setdefault(path.resolve(), path)
    if not found:
        raise SessionsMissing(folders)
    return list(found.values())
