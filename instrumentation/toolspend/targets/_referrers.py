"""References to a function that no module names: found by the garbage collector, and replaced where that can be undone.

Reached are values of dicts (and so of instances), lists, slots, closures, defaults of functions, arguments of partials,
and classes that no module holds. What cannot be changed in place is counted: tuples, local variables of functions that
are running or suspended, objects written in C.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import gc
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from types import CellType, FrameType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final

from wrapt import ObjectProxy

_OURS: Final = __name__.partition(".")[0]
_DEFAULTS: Final = "__defaults__"
_OPTIMIZED: Final = 1
_HAS_SNAPSHOTS: Final = sys.version_info < (3, 13)
_OF_A_SNAPSHOT: Final = 3
"""References to a frame's dict of locals that nobody else has: the frame's, the variable's, the argument's."""


class References:
    """Every reference to `old` outside modules is made one to `new`, until `restore`.

    `missed` is how many there are that cannot be changed.
    """

    def __init__(self) -> None:
        self.missed = 0
        self._originals: list[_Original] = []
        self._old: Any = None
        self._new: Any = None

    def replace(self, old: Any, new: Any) -> None:
        """Makes them. Not when it is made: the arguments of a class are a tuple, and that another place."""
        self._old, self._new = old, new
        self.missed = _replace(old, new, self._originals) + _in_running_frames(old)

    def restore(self) -> None:
        """Puts `old` back, also where a reference to `new` was made since."""
        for original in self._originals:
            original.put_back(self._old, self._new)
        _replace(self._new, self._old, [])


class _Original:
    """The very object that was there: defaults of a function, arguments of a partial, a static method of a class.

    What holds it is referred to weakly: it is not to live longer for being watched.
    """

    __slots__ = ("_made", "_name", "_owner", "_was")

    def __init__(self, owner: Any, name: str, made: object, was: Any) -> None:
        self._owner = weakref.ref(owner)
        self._name = name
        self._made = made
        self._was = was

    def put_back(self, old: Any, new: Any) -> None:
        """Puts it back, unless something else is there by now."""
        owner = self._owner()
        if issubclass(type(owner), type):
            if vars(owner).get(self._name) is self._made:
                setattr(owner, self._name, self._was)
        elif owner is not None and getattr(owner, self._name) is self._made:
            if self._name == _DEFAULTS:
                owner.__defaults__ = self._was
            else:
                _replace_in_partial(owner, self._was, new, old)


# No function that calls these may use `old` in a comprehension or an inner function: its cell is one more reference.
def _replace(old: Any, new: Any, originals: list[_Original]) -> int:
    holders = _holders(old)
    fixed = [each for each in holders if type(each) in (tuple, dict, staticmethod)]
    owners = _owners(fixed, holders)
    missed = 0
    for holder in holders:
        mine = owners.get(id(holder), [])
        if not any(map(_is_ours, mine)):
            missed += not _replace_in_holder(holder, mine, old, new, originals)
    return missed


def _replace_in_holder(holder: Any, owners: list[Any], old: Any, new: Any, originals: list[_Original]) -> bool:
    """Whether nothing that is called through `holder` is `old` any more."""
    kind = type(holder)
    if kind is tuple:
        done = [_replace_in_owner(each, holder, old, new, originals) for each in owners]
        return bool(done) and all(done)
    if kind is staticmethod:
        return _replace_static(holder, owners, new, originals)
    if kind is dict and (owner := _class_of(holder, owners)) is not None:
        for name in [name for name, value in holder.items() if value is old]:
            setattr(owner, name, new)
        return True
    return _replace_in(holder, old, new)


def _holders(target: Any) -> list[Any]:
    """What refers to `target`, without what is ours and what is never called through."""
    return [
        each
        for each in gc.get_referrers(target)
        if not issubclass(type(each), ObjectProxy | FrameType) and not _is_ours(each)
    ]


def _owners(holders: list[Any], found_in: list[Any]) -> dict[int, list[Any]]:
    """What refers to each of `holders`, by its identity, in one look at all objects; not the lists given here."""
    wanted = set(map(id, holders))
    found: dict[int, list[Any]] = {}
    arguments = tuple(holders)  # which Python 3.13 takes for one that refers to them
    given = {id(arguments), id(holders), id(found_in)}
    for owner in gc.get_referrers(*arguments) if holders else ():
        if id(owner) not in given and not issubclass(type(owner), FrameType):
            for each in gc.get_referents(owner):
                if id(each) in wanted:
                    found.setdefault(id(each), []).append(owner)
    return found


def _is_ours(thing: Any) -> bool:
    kind = type(thing)
    made_in = thing.__module__ if kind is FunctionType else kind.__module__
    return isinstance(made_in, str) and made_in.partition(".")[0] == _OURS


def _class_of(namespace: dict[str, Any], owners: list[Any]) -> type | None:
    """The class that `namespace` is the dict of: it keeps caches, so that it is only changed through the class."""
    classes = (each for each in owners if issubclass(type(each), type))
    return next((each for each in classes if gc.get_referents(vars(each))[0] is namespace), None)


def _replace_in(holder: Any, old: Any, new: Any) -> bool:
    """Whether every reference of `holder` to `old` is one to `new` now."""
    kind = type(holder)
    if issubclass(kind, dict):
        for key in [key for key, value in dict.items(holder) if value is old]:
            dict.__setitem__(holder, key, new)
        # A key that is equal finds the same entry, and is not called.
        return True
    if issubclass(kind, list | deque):
        base: Any = list if issubclass(kind, list) else deque
        for index in [index for index, value in enumerate(base.__iter__(holder)) if value is old]:
            base.__setitem__(holder, index, new)
        return True
    if kind is CellType:
        holder.cell_contents = new
        return True
    if issubclass(kind, functools.partial):
        return _replace_in_partial(holder, holder.args, old, new)
    return _replace_in_attributes(holder, old, new)


def _replace_in_partial(holder: Any, arguments: tuple[Any, ...], old: Any, new: Any) -> bool:
    state: Any = functools.partial.__reduce__(holder)[2]
    function, _, keywords, names = state
    functools.partial.__setstate__(holder, (new if function is old else function, arguments, keywords, names))  # type: ignore[attr-defined]
    return True


def _replace_in_attributes(holder: Any, old: Any, new: Any) -> bool:
    is_found = False
    for kind in type(holder).__mro__:
        for name, member in list(vars(kind).items()):
            if type(member) is MemberDescriptorType:
                # A slot may be empty; a member of an object written in C may be for reading only.
                with contextlib.suppress(AttributeError, TypeError):
                    if member.__get__(holder) is old:
                        member.__set__(holder, new)
                        is_found = True
            elif name == "__dict__" and type(member) is GetSetDescriptorType:
                names = member.__get__(holder)
                if type(names) is dict and any(value is old for value in names.values()):
                    is_found = _replace_in(names, old, new)
    return is_found


def _replace_in_owner(owner: Any, holder: tuple[Any, ...], old: Any, new: Any, originals: list[_Original]) -> bool:
    """Gives a function its defaults, or a partial its arguments, with `new`. Whether `owner` is one of these."""
    made = tuple(new if value is old else value for value in holder)
    if issubclass(type(owner), functools.partial) and owner.args is holder:
        _replace_in_partial(owner, made, old, new)
        originals.append(_Original(owner, "args", made, holder))
        return True
    if type(owner) is FunctionType and getattr(owner, _DEFAULTS) is holder:
        setattr(owner, _DEFAULTS, made)
        originals.append(_Original(owner, _DEFAULTS, made, holder))
        return True
    return False


def _replace_static(holder: Any, owners: list[Any], new: Any, originals: list[_Original]) -> bool:
    """Whether the class whose static method `holder` is has one of `new` now."""
    namespaces = [each for each in owners if type(each) is dict]
    classes = _owners(namespaces, owners)
    is_found = False
    for namespace in namespaces:
        owner = _class_of(namespace, classes.get(id(namespace), []))
        for name in [name for name, value in namespace.items() if value is holder and owner is not None]:
            made = staticmethod(new)
            setattr(owner, name, made)
            originals.append(_Original(owner, name, made, holder))
            is_found = True
    return is_found


def _in_running_frames(target: Any) -> int:
    """How many local variables of the functions that called `instrument` hold `target` and are read again."""
    frame: FrameType | None = sys._getframe(1)
    found = 0
    while frame is not None:
        is_local = bool(frame.f_code.co_flags & _OPTIMIZED)
        if is_local and str(frame.f_globals.get("__name__")).partition(".")[0] != _OURS:
            found += sum(_is_read_again(frame, name) for name in _names(frame, target))
        frame = frame.f_back
    return found


def _names(frame: FrameType, target: Any) -> list[str]:
    values = frame.f_locals
    names = [name for name, value in values.items() if value is target]
    # Before 3.13 this is a copy that lives as long as the frame, and would keep all that it holds alive.
    if _HAS_SNAPSHOTS and sys.getrefcount(values) <= _OF_A_SNAPSHOT:
        values.clear()
    return names


def _is_read_again(frame: FrameType, name: str) -> bool:
    return any(name in read for offset, read in _reads(frame) if offset > frame.f_lasti)


def _reads(frame: FrameType) -> Iterator[tuple[int, tuple[str, ...]]]:
    for each in dis.get_instructions(frame.f_code):
        if each.opname.startswith("LOAD_FAST"):
            yield each.offset, each.argval if isinstance(each.argval, tuple) else (each.argval,)
