"""URLs without what may be secret in them."""

from __future__ import annotations

from typing import Final

HTTPX_SCOPE: Final = "opentelemetry.instrumentation.httpx"
URL_ATTRIBUTES: Final = ("url.full", "http.url")


def bare(url: str) -> str:
    """`url` without its credentials, query and fragment."""
    url = url.split("?", 1)[0].split("#", 1)[0]
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
