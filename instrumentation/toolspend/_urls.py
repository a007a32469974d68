"""URLs without what may be secret in them."""

from __future__ import annotations

from typing import Final

from ._config import config, is_ready_to_leave

HTTPX_SCOPE: Final = "opentelemetry.instrumentation.httpx"
URL_ATTRIBUTES: Final = ("url.full", "http.url")


def bare(url: str) -> str:
    """`url` without its credentials, query and fragment; its path, where tokens and arguments stand too, is content."""
    url = url.split("?", 1)[0].split("#", 1)[0]
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/") if separator else ("", "", url)
    settings = config()
    left = path if settings.capture_content and is_ready_to_leave(path) else settings.content(path)
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{left or ''}" if separator else left or ""
