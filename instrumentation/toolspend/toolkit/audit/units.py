"""Quantities that mean nothing without a unit, and what says one: in a name or in a description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .words import word_set


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a parameter measures: the words of a name that tell it, what says its unit, and a unit for an example.

    With `of`, one of these words has to stand in the name too. What says that it has no unit counts as one.
    """

    names: frozenset[str]
    units: re.Pattern[str]
    example: str
    of: frozenset[str] = frozenset()
    is_plain: bool = False
    """Whether names are taken as they are: no number, index or kind of such a thing is meant."""


def _units(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_TIME: Final = (
    r"ms|msecs?|milli-?seconds?|s|secs?|seconds?|min|mins|minutes?|h|hrs?|hours?|days?|weeks?|months?|ns|us|µs"
)
_QUANTITIES: Final = (
    Quantity(
        word_set("timeout delay duration interval ttl wait debounce cooldown elapsed"),
        _units(rf"\b(?:{_TIME})\b"),
        "seconds",
        is_plain=True,
    ),
    Quantity(
        word_set("width height distance radius"),
        _units(
            r"\b(?:px|pixels?|pt|points?|mm|cm|m|km|met(?:er|re)s?|kilomet(?:er|re)s?|miles?|inch(?:es)?|in|feet|ft|"
            r"percent|em|rem|characters?|columns?|lines?|rows?|degrees?)\b|%"
        ),
        "pixels",
        is_plain=True,
    ),
    Quantity(word_set("age"), _units(rf"\b(?:{_TIME}|years?|yrs?|y|d)\b"), "years"),
    Quantity(
        word_set("size space memory ram filesize"),
        _units(r"\b(?:b|[kmgt]i?b|(?:kilo|mega|giga|tera|kibi|mebi|gibi)?(?:bytes?|bits?)|percent|pages?|blocks?|items?|"
               r"entries|rows?|lines?|records?|characters?|tokens?|number of|count)\b|%"),
        "bytes",
        word_set("file filesize disk memory ram buffer storage upload download attachment volume"),
    ),
    Quantity(
        word_set("weight mass"),
        _units(r"\b(?:kg|g|mg|kilos?|(?:kilo|milli)?grams?|kilogrammes?|tons?|tonnes?|lbs?|pounds?|oz|ounces?|stones?|"
               r"relative|ratio|score|scor\w+|rank\w*|edges?|font|bold\w*|boost\w*|between|factor|fraction|priority|share|"
               r"importance|percent|vot\w+|average)\b|%|\d"),
        "kilograms",
    ),
    Quantity(
        word_set("price amount cost fee salary"),
        _units(r"\b(?:currency|currencies|usd|eur|gbp|jpy|cny|chf|dollars?|euros?|pounds?|yen|cents?|pence|"
               r"minor units?|smallest unit|basis points?|percent|btc|eth|sol|wei|gwei|lamports?|satoshis?|gas|tokens?|"
               r"coins?|credits?|shares?|amount of|number of|how (?:many|much))\b|[$€£¥%]"),
        "US dollars",
    ),
    Quantity(
        word_set("temperature"),
        _units(r"\b(?:celsius|fahrenheit|kelvin|degrees?|[cfk]|sampl\w+|random\w*|creativ\w*|determinis\w*|llm|model|"
               r"generat\w+|0 ?(?:-|to|and) ?[12])\b|°|[01]\.\d"),
        "degrees Celsius",
    ),
    Quantity(
        word_set("speed velocity"),
        _units(r"\b(?:km/?h|kph|kmh|mph|mps|m/s|ft/s|knots?|kn|rpm|[kmg]?bps|per (?:second|minute|hour)|percent|"
               r"multipl\w+|playback|normal|factor|times|level)\b|%|\d ?x\b|\bx ?\d|\d\.\d"),
        "km/h",
    ),
)  # fmt: skip
_COUNTS: Final = word_set("id ids index count number num type kind level factor ratio score rank percent group class")
_SAYS_UNIT: Final = word_set("unit units currency metric imperial")
_OF_A_MODEL: Final = word_set("model prompt tokens")


def quantity(parts: Sequence[str], beside: Sequence[str]) -> Quantity | None:
    """What the words of a parameter's name measure; None where that is nothing, or where one `beside` says the unit.

    `beside` are the words of the names of the tool's other parameters.
    """
    own = set(parts)
    found = next((each for each in _QUANTITIES if each.names & own and (not each.of or each.of & own)), None)
    if found is None or found.is_plain:
        return found
    is_told = _SAYS_UNIT.intersection(beside) or ("temperature" in own and _OF_A_MODEL.intersection(beside))
    return None if is_told or _COUNTS & own else found
