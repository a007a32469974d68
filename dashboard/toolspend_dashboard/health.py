"""How ingestion is: what waits, what is stored and what was refused, from the store and from the running server."""

from __future__ import annotations

from typing import Any

import pandas as pd

from toolspend_dashboard import formats

WAYS = {"otlp-http": "OTLP over HTTP", "otlp-grpc": "OTLP over gRPC", "spool": "Spool", "files": "Files"}
"""How a way that spans come in is called."""
FEWEST_SPANS = 10_000
"""An empty store takes some MB: of fewer spans that is most of what is there."""
_MANY_OF_ONE = 4
"""Further spans of one response: more than two emitters, a parent's copy and a batch sent again come to."""


def in_logs(found: pd.Series[Any]) -> str | None:
    """What came of messages in log records, from a row of `messages_in_logs`; None where there are none."""
    spans, missing = int(found["spans"]), int(found["missing"])
    if not spans:
        return None
    said = f"Log records hold messages of {formats.plural(spans, 'span')}"
    return f"{said}; {missing:,} of these have not come" if missing else said


def told_again(copies: pd.DataFrame) -> str | None:
    """Which requests several spans tell of, from rows of `copies`; None where each is told once."""
    if copies.empty:
        return None
    spans, requests = int(copies["spans"].sum()), int(copies["all_requests"].iloc[0])
    verb = "tells" if spans == 1 else "tell"
    said = f"{formats.plural(spans, 'span')} {verb} again of {formats.plural(requests, 'request')}, billed once each"
    same = copies.loc[copies["reason"] == "response_id", "most"]
    if len(same) and (most := int(same.iloc[0])) >= _MANY_OF_ONE:
        said += (
            f". One response id came {most + 1:,} times: a stand-in for the API that answers with one id has all its "
            "calls counted as one, unless each answer has an id of its own"
        )
    return said


def sentence(status: dict[str, Any] | None, losses: pd.DataFrame) -> tuple[str, str]:
    """What is to be known first, as (`good`, `warning` or `bad`, one sentence)."""
    if status is not None and status["problem"]:
        return "bad", f"Nothing can be stored: {status['problem']}."
    if status is not None and status["spool_failure"]:
        return "warning", f"Not all of the spool is loaded: {status['spool_failure']}."
    refused, dropped = lost(losses)
    said = [
        *([f"{formats.plural(refused, 'record')} could not be read"] if refused else []),
        *([f"{formats.plural(dropped, 'span')} dropped by senders"] if dropped else []),
    ]
    if said:
        return "warning", f"What comes is stored; {' and '.join(said)} so far."
    return "good", "What comes is stored, and nothing was refused or dropped."


def lost(losses: pd.DataFrame) -> tuple[int, int]:
    """How many records could not be read and how many spans were dropped, of all that `losses` has the latest of."""
    return (int(losses["all_refused"].iloc[0]), int(losses["all_dropped"].iloc[0])) if len(losses) else (0, 0)


def storage_bytes(status: dict[str, Any] | None, storage: pd.Series[Any]) -> int:
    """Size of the store on disk, with its log where the server says it."""
    return int(status["store_bytes"]) if status is not None else int(storage["file_bytes"])


def bytes_per_span(storage: pd.Series[Any]) -> float | None:
    """What a span takes of the file with all that follows from it.

    None where there are few, and where more is in the log, which takes far more for a span, than in the file.
    """
    spans, used = int(storage["spans"]), int(storage["file_bytes"]) - int(storage["free_bytes"])
    return used / spans if spans >= FEWEST_SPANS and used > int(storage["log_bytes"]) else None


def waiting(status: dict[str, Any]) -> int:
    """Bytes that came and are not stored: in the spool, and held for requests."""
    return int(status["spool_waiting_bytes"]) + int(status["held_bytes"])


def received(status: dict[str, Any]) -> pd.DataFrame:
    """One row per signal: what came over the network since the server started."""
    return pd.DataFrame([{"signal": name, **count} for name, count in status["received"].items()])
