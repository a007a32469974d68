"""Is it described so that a cold reader can use it? What the schema says of each parameter."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from .findings import Finding
from .subjects import CATALOGUE, Parameter, Subject
from .units import quantity
from .words import content, name_words, named, quoted, word_set, words

_NUMBERS: Final = frozenset(("number", "integer"))
_MOMENTS: Final = word_set("date datetime timestamp since until")
_FORMATS: Final = re.compile(
    r"\d|iso|rfc|unix|epoch|yyyy|hh:mm|format|relative|e\.g\.|such as|for example|timezone|millisecond|second",
    re.IGNORECASE,
)
_LIST: Final = re.compile(
    r"\b(?:one of|either|(?:possible|allowed|valid|supported) values(?: are)?|options(?: are)?)\b\s*:?\s*"
    r"(?P<values>[^.;)\n]+)",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"['\"`]([\w.-]+)['\"`]")
_OPEN: Final = re.compile(
    r"\be\.g\.|\bsuch as\b|\bfor example\b|\blike\b|\bexamples?\b|\betc\b|\.\.\.|…|\bcustom\b|\bany\b|\bother\b",
    re.IGNORECASE,
)


def undocumented_parameters(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Parameters without a description: graver where the tool's own description does not speak of them either."""
    for tool in tools:
        silent = [each for each in tool.parameters or () if not each.description]
        if not silent:
            continue
        told = [each for each in silent if _is_named(each.name, tool.description)]
        untold = [each for each in silent if each not in told]
        what = "parameter has" if len(silent) == 1 else "parameters have"
        elsewhere = f"; the tool's description speaks of {named(each.name for each in told)}" if told else ""
        wanted = "; ".join(each.told() for each in (untold or told)[:5])
        yield Finding(
            tool.name,
            "undocumented_parameters",
            "warning" if untold else "note",
            f"{len(silent)} of {len(tool.parameters or ())} {what} no description: "
            f"{named(each.name for each in silent)}{elsewhere}.",
            f"Describe {wanted}."
            if untold
            else f"Move what the description says of {wanted} into the schema, beside each.",
            parameters=tuple(each.name for each in silent),
        )


def missing_unit(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Numbers named for what has a unit, without one in the name, the description or the tool's description."""
    for tool, parameter in _each(tools):
        if not parameter.types or not parameter.types <= _NUMBERS:
            continue
        parts = name_words(parameter.name)
        beside = [word for each in tool.parameters or () if each != parameter for word in name_words(each.name)]
        measured = quantity(parts, beside)
        if measured is None:
            continue
        about = " ".join((*parts, parameter.description, *_sentences_on(parameter.name, tool.description)))
        if measured.units.search(about):
            continue
        said = f": {quoted(parameter.description)}" if parameter.description else " and has no description"
        yield Finding(
            tool.name,
            "missing_unit",
            "warning",
            f"`{parameter.name}` is a number and its unit is not said{said}.",
            f"Say it in the name or the description: `{parameter.name}` in {measured.example}, if that is so.",
            parameters=(parameter.name,),
        )


def missing_format(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Texts named for a moment, without a format or an example."""
    for tool, parameter in _each(tools):
        if parameter.types != {"string"} or parameter.choices:
            continue
        parts = name_words(parameter.name)
        if not (_MOMENTS & set(parts[-1:]) or (parts[-1:] == ["at"] and len(parts) > 1)):
            continue
        variants = (parameter.schema, *_variants(parameter))
        if any("format" in each or "pattern" in each for each in variants):
            continue
        about = " ".join((parameter.description, *_sentences_on(parameter.name, tool.description)))
        if _FORMATS.search(about):
            continue
        said = f": {quoted(parameter.description)}" if parameter.description else ""
        yield Finding(
            tool.name,
            "missing_format",
            "note",
            f"`{parameter.name}` is a text, and how to write the moment is not said{said}.",
            f"Give `{parameter.name}` a `format`, `date-time` or `date`, or an example such as '2026-01-31T09:00:00Z'.",
            parameters=(parameter.name,),
        )


def choices_in_prose(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Alternatives that the description lists and the schema does not hold the model to."""
    for tool, parameter in _each(tools):
        if CATALOGUE in parameter.schema or parameter.types != {"string"} or parameter.choices:
            continue
        values = closed_choices(parameter.description)
        if len(values) < 2 or "pattern" in parameter.schema:
            continue
        listed = ", ".join(f'"{value}"' for value in values)
        yield Finding(
            tool.name,
            "choices_in_prose",
            "note",
            f"`{parameter.name}` takes any text; its description lists the values: {quoted(parameter.description)}.",
            f'Add "enum": [{listed}] to `{parameter.name}`, and take the list out of the description.',
            parameters=(parameter.name,),
        )


def untyped_parameter(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Parameters of no type, arrays of unknown items, and objects whose keys are nowhere said."""
    for tool, parameter in _each(tools):
        schema = parameter.schema
        if CATALOGUE in schema or "$ref" in schema or parameter.choices:
            continue
        if not parameter.types:
            lacks, wanted = "has no type", f"Give `{parameter.name}` a type"
        elif parameter.types == {"array"} and not any(_has_items(each) for each in (schema, *_variants(parameter))):
            lacks, wanted = "is an array of anything", f'Say under "items" what `{parameter.name}` holds'
        elif (
            parameter.types == {"object"}
            and _is_open_object(parameter)
            and not re.search(r"[{:`']|e\.g\.", parameter.description)
        ):
            lacks, wanted = (
                "is an object with any keys",
                f'List the keys of `{parameter.name}` under "properties", or give an example',
            )
        else:
            continue
        said = f": {quoted(parameter.description)}" if parameter.description else ""
        yield Finding(
            tool.name,
            "untyped_parameter",
            "warning" if not parameter.types else "note",
            f"`{parameter.name}` {lacks}{said}.",
            f"{wanted}.",
            parameters=(parameter.name,),
        )


def required_with_default(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A default that can never be used, as the parameter is required."""
    for tool, parameter in _each(tools):
        if parameter.is_required and parameter.schema.get("default") is not None:
            yield Finding(
                tool.name,
                "required_with_default",
                "note",
                f"`{parameter.name}` is required and has the default {parameter.schema['default']!r}.",
                f'Take `{parameter.name}` out of "required", or take its default away.',
                parameters=(parameter.name,),
            )


def single_choice(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A parameter that the model has to write although there is nothing to choose."""
    for tool, parameter in _each(tools):
        if len(parameter.choices) == 1 and parameter.is_required:
            yield Finding(
                tool.name,
                "single_choice",
                "note",
                f"`{parameter.name}` is required, and its only value is {parameter.choices[0]!r}.",
                f"Take `{parameter.name}` out: the handler knows its value.",
                parameters=(parameter.name,),
            )


def inconsistent_parameters(tools: Sequence[Subject]) -> Iterator[Finding]:
    """One parameter under two names, or with two types, in tools that are offered together."""
    yield from _two_names(tools)
    yield from _two_types(tools)


def _two_names(tools: Sequence[Subject]) -> Iterator[Finding]:
    holders: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    roles: set[str] = set()
    wordings: dict[str, str] = {}
    for tool in tools:
        seen: set[str] = set()
        for parameter in tool.parameters or ():
            text = " ".join(words(parameter.description))
            if len(words(parameter.description)) < 5:
                continue
            if text in seen:
                roles.add(text)  # one text for two parameters of one tool: the names say what differs
            seen.add(text)
            holders[text][parameter.name].append(tool.name)
            wordings.setdefault(text, parameter.description)
    for text, by_name in holders.items():
        if len(by_name) < 2 or text in roles:
            continue
        ranked = sorted(by_name, key=lambda name: -len(by_name[name]))
        most, rare = ranked[0], ranked[1]
        if not content(name_words(most)) & content(name_words(rare)):
            continue
        yield Finding(
            by_name[rare][0],
            "inconsistent_parameters",
            "note",
            f"`{rare}` here and `{most}` in {named(by_name[most], 3)} are described in the same words: "
            f"{quoted(wordings[text], 60)}.",
            f"Name it `{most}` in {named(by_name[rare], 3)} too.",
            parameters=(rare,),
            related=tuple(dict.fromkeys((*by_name[rare][1:], *by_name[most]))),
        )


def _two_types(tools: Sequence[Subject]) -> Iterator[Finding]:
    holders: defaultdict[str, list[tuple[Subject, Parameter]]] = defaultdict(list)
    for tool, parameter in _each(tools):
        if parameter.types:
            holders[parameter.name].append((tool, parameter))
    for name, held in holders.items():
        numbers = [each for each in held if each[1].types <= _NUMBERS]
        texts = [each for each in held if each[1].types == {"string"} and not each[1].choices]
        if not numbers or not texts:
            continue
        rare, most = sorted((numbers, texts), key=len)
        mine, other = rare[0], most[0]
        own = content(name_words(name))
        shared = (content(words(mine[1].description)) & content(words(other[1].description))) - {"optional", "default"}
        if not shared - (set() if own <= content({"page", "limit", "offset", "count"}) else own):
            continue
        yield Finding(
            mine[0].name,
            "inconsistent_parameters",
            "note",
            f"`{name}` is a {_kind(mine[1])} here and a {_kind(other[1])} in "
            f"{named((each[0].name for each in most), 3)}.",
            f"Give `{name}` one type: {_kind(other[1])}, as {len(most)} of {len(most) + len(rare)} tools have it.",
            parameters=(name,),
            related=tuple(each[0].name for each in (*rare[1:], *most)),
        )


def _each(tools: Sequence[Subject]) -> Iterator[tuple[Subject, Parameter]]:
    return ((tool, parameter) for tool in tools for parameter in tool.parameters or ())


def _kind(parameter: Parameter) -> str:
    return " or ".join(sorted(parameter.types))


def _is_named(name: str, text: str) -> bool:
    """Whether a text speaks of a parameter: a name that is an ordinary word counts only where it stands as a name."""
    own = re.escape(name)
    if len(name_words(name)) > 1:
        return re.search(rf"(?<!\w){own}(?!\w)", text) is not None
    return (
        re.search(rf"['\"`]{own}['\"`]|(?<!\w){own}\s*[=:]|\({own}\b|\b{own} (?:parameter|argument)s?\b", text)
        is not None
    )


def _sentences_on(name: str, text: str) -> list[str]:
    """The lines of a tool's description that speak of a parameter by its name."""
    return [line for line in re.split(r"\n|(?<=[.;])\s", text) if _is_named(name, line)]


def _variants(parameter: Parameter) -> list[Any]:
    given = (each for key in ("anyOf", "oneOf", "allOf") for each in parameter.schema.get(key) or ())
    return [each for each in given if isinstance(each, dict)]


def _has_items(schema: object) -> bool:
    return isinstance(schema, dict) and any(key in schema for key in ("items", "prefixItems", "contains"))


def _is_open_object(parameter: Parameter) -> bool:
    schema = parameter.schema
    values = schema.get("additionalProperties")
    has_typed_values = isinstance(values, dict) and bool(values)
    return (
        not schema.get("properties")
        and not schema.get("patternProperties")
        and not has_typed_values
        and not _variants(parameter)
    )


def closed_choices(text: str) -> list[str]:
    """The values that a description lists as all there are; none where it gives examples."""
    if _OPEN.search(text):
        return []
    listed = _LIST.search(text)
    if listed is None:
        return list(dict.fromkeys(_QUOTED.findall(text))) if text.startswith("Whether") else []
    values = list(dict.fromkeys(_QUOTED.findall(listed["values"])))
    if not values and not listed[0].lower().startswith("either"):  # "either path or url" are parameters, more often
        values = [each.strip() for each in re.split(r",|\bor\b|\band\b", listed["values"]) if each.strip()]
    return values if all(re.fullmatch(r"[\w.-]+", value) for value in values) else []
