"""The files of Streamlit's frontend are answered as Streamlit answers them, and named before they are asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from streamlit.web.server.starlette.starlette_static_routes import create_streamlit_static_handler

from toolspend_dashboard.frontend import DRAWN_FIRST, INDEX, Frontend


@pytest.fixture(scope="module")
def frontend() -> Frontend:
    """The installed files."""
    return Frontend.installed()


def scope(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": named}


def paths(frontend: Frontend) -> list[str]:
    return sorted(f"/{file.relative_to(frontend.folder).as_posix()}" for file in frontend.folder.rglob("*.*"))


def linked(frontend: Frontend) -> set[str]:
    """The paths that the answer to `/` names."""
    answer = frontend.answer(scope("/"))
    assert answer is not None
    return set(re.findall(r"<\.([^>]+)>; rel=modulepreload; crossorigin", answer.headers["link"]))


def test_every_file_is_answered_as_streamlit_does(frontend: Frontend) -> None:
    """The same bytes, type and time to keep, for each file that there is."""
    theirs = TestClient(create_streamlit_static_handler(str(frontend.folder), None))
    for path in ("/", *paths(frontend)):
        answer, expected = frontend.answer(scope(path)), theirs.get(path)
        assert answer is not None and expected.status_code == 200, path
        assert answer.body == expected.content, path
        for name in ("content-type", "cache-control"):
            assert answer.headers[name] == expected.headers[name], path


@pytest.mark.parametrize(
    "path",
    ["/static", "/static/js/", "/nothing.js", "/static/../index.html", "/../__init__.py", "//index.html",
     "/static/js/..\\..\\index.html", "/_stcore/health", "/tools", ""],
)  # fmt: skip
def test_what_is_no_file_is_not_answered(frontend: Frontend, path: str) -> None:
    """Pages, Streamlit's own paths, and what leads out of the folder."""
    assert frontend.answer(scope(path)) is None
    assert frontend.answer(scope(INDEX, method="POST")) is None


def test_what_the_browser_has_is_not_sent_again(frontend: Frontend) -> None:
    """The tag of the first answer brings a 304 without a body; another one the file."""
    first = frontend.answer(scope("/"))
    assert first is not None
    again = frontend.answer(scope("/", if_none_match=first.headers["etag"]))
    assert again is not None and (again.status_code, again.body) == (304, b"")
    other = frontend.answer(scope("/", if_none_match='"other"'))
    assert other is not None and other.status_code == 200


def test_the_index_names_what_is_drawn_first_with_all_that_it_imports(frontend: Frontend) -> None:
    """One script for each, and nothing that one of them imports is left to be found later."""
    index = (frontend.folder / INDEX[1:]).read_text(encoding="utf-8")
    named = linked(frontend)
    for name in DRAWN_FIRST:
        assert len([path for path in named if path.startswith(f"/static/js/{name}.")]) == 1, name
    for path in named:
        assert path not in index
        for script in re.findall(r'(?:from|import)"\./([^"]+)"', (frontend.folder / path[1:]).read_text("utf-8")):
            assert f"/static/js/{script}" in named or script in index, script


def test_without_files_nothing_is_answered(tmp_path: Path) -> None:
    """Streamlit then answers for all, as it would alone."""
    assert Frontend(tmp_path / "gone").answer(scope("/")) is None
