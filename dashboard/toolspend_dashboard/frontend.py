"""The files of the pages' frontend, as the installed Streamlit brings them; nothing of Streamlit is imported for them.

A first visit asks for some hundred of them while this process still imports what makes the page, and the two share the
interpreter: so each is answered in one piece and from memory. What is not among them is Streamlit's own to answer.
"""

from __future__ import annotations

import importlib.util
import mimetypes
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

INDEX: Final = "/index.html"
FOR_EVER: Final = "public, immutable, max-age=31536000"
"""As Streamlit says it: the names of scripts, styles and fonts change with their contents."""
DRAWN_FIRST: Final = ("Selectbox", "Metric", "Progress", "ButtonGroup", "PageLink")
"""Scripts that the browser would ask for once it knows what the first page draws; it is told of them before."""

_ASKED_ANEW = frozenset({INDEX, "/manifest.json"})
_IMPORTED = re.compile(r'(?:from|import)"\./([^"]+\.js)"')
_TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2"}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    headers: dict[str, str]
    media_type: str | None


@dataclass(slots=True)
class Frontend:
    """Answers requests for the files of one folder; what the first page needs is read when it is made."""

    folder: Path
    _read: dict[str, _File] = field(default_factory=dict)
    _paths: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._paths = frozenset(
            f"/{(Path(parent) / name).relative_to(self.folder).as_posix()}"
            for parent, _, names in os.walk(self.folder)
            for name in names
        )
        if INDEX in self._paths:
            self._read_first()

    @classmethod
    def installed(cls) -> Frontend:
        """The files of the installed Streamlit."""
        found = importlib.util.find_spec("streamlit")
        return cls(Path(found.origin if found is not None and found.origin else "").parent / "static")

    def answer(self, scope: Scope) -> Response | None:
        """The answer to a request for one of the files; None for any other request."""
        path = INDEX if scope["path"] == "/" else scope["path"]
        # Only what was listed is read: a path that leads out of the folder is no name of a file in it.
        if scope["method"] != "GET" or path not in self._paths:
            return None
        try:
            file = self._file(path)
        except OSError:
            return None
        if Headers(scope=scope).get("if-none-match") == file.headers["etag"]:
            return Response(status_code=304, headers=file.headers)
        return Response(file.body, headers=file.headers, media_type=file.media_type)

    def _file(self, path: str) -> _File:
        file = self._read.get(path)
        if file is None:
            at = self.folder / path[1:]
            body, found = at.read_bytes(), at.stat()
            headers = {
                "etag": f'"{found.st_mtime_ns:x}-{found.st_size:x}"',
                "cache-control": "no-cache" if path in _ASKED_ANEW else FOR_EVER,
            }
            media_type = _TYPES.get(at.suffix) or mimetypes.guess_type(at.name)[0]
            file = self._read[path] = _File(body, headers, media_type)
        return file

    def _read_first(self) -> None:
        """Read the index with what it names, and what is drawn first with all that this imports."""
        index = self._file(INDEX)
        text = index.body.decode()
        named = {path for path in self._paths if f'".{path}"' in text}
        for path in named:
            self._file(path)
        ahead = sorted(path for path in self._paths if path.startswith(tuple(f"/static/js/{n}." for n in DRAWN_FIRST)))
        for path in ahead:
            imported = {f"/static/js/{name}" for name in _IMPORTED.findall(self._file(path).body.decode())}
            ahead += sorted((imported & self._paths) - named - {*ahead})
        if ahead:
            links = (f"<.{path}>; rel=modulepreload; crossorigin; fetchpriority=low" for path in ahead)
            index.headers["link"] = ", ".join(links)
