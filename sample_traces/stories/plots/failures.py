"""Seven incidents, each with its own way of going wrong."""

from __future__ import annotations

from dataclasses import replace

from standin import Failure, Reply, ToolUse, internal_error, overloaded, rate_limited, say
from stories.case import Case
from stories.world import prose

METRICS = ToolUse("query_metrics", {"query": 'rate(errors{service="checkout"}[5m])', "minutes": 45})
WIDE = ToolUse("query_metrics", {"query": "sum(rate(http_requests_total[1m])) by (pod, path, status)", "minutes": 720})
LOGS = ToolUse("fetch_logs", {"service": "checkout", "lines": 140})
DEAD_LOGS = ToolUse("fetch_logs", {"service": "ledger-archive"})
DEPLOYMENTS = ToolUse("list_deployments", {"service": "checkout"})
RESTART = ToolUse("restart_service", {"service": "checkout", "change": "CHG-5512"})
RUNBOOK = ToolUse("get_runbook", {"service": "checkout"})
PAGE = ToolUse("page_engineer", {"team": "payments", "message": "Checkout errors at 4 %, suspect the last deployment."})


def _verdict(*key: object) -> Reply:
    return say(prose(700, "verdict", *key))


def _case(number: int, started_at: str, kind: str, steps: list[Reply]) -> Case:
    symptom = prose(160, "symptom", number)
    return Case(
        session=f"incident-{number}",
        user="pager",
        started_at=started_at,
        messages=[f"Incident {number} ({kind}). {symptom}"],
        steps=steps,
        tags=["incident", kind],
    )


CASES = [
    _case(
        901,
        "2026-11-03T02:14:00",
        "tools fail",
        [
            say("Logs and metrics first.", LOGS, DEAD_LOGS, METRICS),
            say("The archive is not reachable; I try it once more.", DEAD_LOGS),
            say(DEPLOYMENTS, RESTART),
            say(PAGE),
            _verdict(901),
        ],
    ),
    _case(
        902,
        "2026-11-06T23:51:00",
        "tools hang",
        [
            say("A wide view.", WIDE, LOGS),
            say("That timed out, so one service only.", METRICS),
            say(WIDE, DEPLOYMENTS),
            _verdict(902),
        ],
    ),
    _case(
        903,
        "2026-11-08T04:33:00",
        "unknown tools",
        [say("I look for the runbook.", RUNBOOK), say(RUNBOOK, LOGS), say(METRICS), _verdict(903)],
    ),
    _case(
        904,
        "2026-11-12T19:07:00",
        "rate limited",
        [
            rate_limited(2.0),
            say("Starting.", METRICS, LOGS),
            rate_limited(5.0),
            rate_limited(9.0),
            say(DEPLOYMENTS),
            _verdict(904),
        ],
    ),
    _case(
        905,
        "2026-11-14T11:26:00",
        "overloaded",
        [
            overloaded(),
            say("Starting.", METRICS),
            internal_error(),
            say(LOGS),
            overloaded(),
            overloaded(),
            overloaded(),
        ],
    ),
    _case(
        906,
        "2026-11-17T03:58:00",
        "stream breaks",
        [
            say("Starting.", LOGS, METRICS),
            replace(say(prose(900, "broken"), DEPLOYMENTS), cut_after=7),
            say(prose(400, "again"), DEPLOYMENTS),
            replace(say(prose(500, "error")), error_after=4),
            _verdict(906),
        ],
    ),
    _case(
        907,
        "2026-11-19T21:40:00",
        "refused",
        [
            say("Starting.", METRICS, LOGS, DEPLOYMENTS),
            Failure(400, "invalid_request_error", "prompt is too long: 203117 tokens > 200000 maximum"),
        ],
    ),
]
