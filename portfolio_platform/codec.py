"""States and events as plain JSON and back, by their declared types: what is replayed after a kill has the same bytes.

A named tuple is a list of its fields in their order; one of several possible is led by its name. Integers from 2**53 on are text, for
other readers of JSON round them. Nothing here knows what the values mean.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import orjson
from immutables import Map

from portfolio_platform.canonical import canonical_bytes

Way: TypeAlias = Callable[[Any], Any]
EXACT = 1 << 53
"""From here on an integer is written as text."""


def encode(value: object, declared: Any) -> Any:
    """Return a value as JSON without floats.

    Args:
        value: named tuples, tuples, maps, integers, flags, text and None.
        declared: its type, or the union of its possible types.
    """
    return _ways(declared)[0](value)


def decode(plain: Any, declared: Any) -> Any:
    """Return the value behind its JSON, the inverse of `encode`.

    Raises:
        TypeError, KeyError, ValueError: it is not the JSON of such a value.
    """
    return _ways(declared)[1](plain)


def to_bytes(value: object, declared: Any) -> bytes:
    """Return the canonical bytes of a value: equal values have equal bytes, in any process."""
    return canonical_bytes(encode(value, declared), floats=False, plain=True)


def from_bytes(content: bytes, declared: Any) -> Any:
    """Return the value behind its canonical bytes."""
    return decode(orjson.loads(content), declared)


@lru_cache(maxsize=256)
def _ways(declared: Any) -> tuple[Way, Way]:
    origin, inside = get_origin(declared), get_args(declared)
    if declared is int:
        return _number, int
    if declared in (str, bool, NoneType) or origin is Literal:
        return _same, _same
    if origin in (Union, UnionType):
        return _one_of(inside)
    if origin is tuple:
        return _sequence(_ways(inside[0])) if inside[-1] is ... else _row([_ways(one) for one in inside])
    if origin is Map:
        return _map(*inside)
    if isinstance(declared, type) and issubclass(declared, StrEnum):
        return str, declared
    if isinstance(declared, type) and issubclass(declared, tuple):
        return _named(declared)
    raise TypeError(f"{declared!r} has no form in JSON here; use named tuples, tuples, maps, integers, flags and text")


def _same(value: Any) -> Any:
    return value


def _number(value: int) -> int | str:
    return value if -EXACT < value < EXACT else str(value)


def _sequence(item: tuple[Way, Way]) -> tuple[Way, Way]:
    out, back = item
    return lambda value: [out(one) for one in value], lambda plain: tuple([back(one) for one in plain])


def _row(items: list[tuple[Way, Way]]) -> tuple[Way, Way]:
    outs, backs = [one[0] for one in items], [one[1] for one in items]
    return (
        lambda value: [out(one) for out, one in zip(outs, value, strict=True)],
        lambda plain: tuple([back(one) for back, one in zip(backs, plain, strict=True)]),
    )


def _map(key: Any, value: Any) -> tuple[Way, Way]:
    out, back = _row([_ways(key), _ways(value)])
    # in the order of the keys, for a map has none of its own
    return lambda held: [out(one) for one in sorted(held.items(), key=_first)], lambda plain: Map([back(one) for one in plain])


def _first(item: tuple[Any, Any]) -> Any:
    return item[0]


def _named(declared: Any) -> tuple[Way, Way]:
    out, back = _row([_ways(one) for one in get_type_hints(declared).values()])
    return out, lambda plain: declared._make(back(plain))


def _one_of(kinds: tuple[Any, ...]) -> tuple[Way, Way]:
    """Return the ways of a union: a plain optional is the value or null, one of several is led by the name of its type."""
    present = [one for one in kinds if one is not NoneType]
    if len(present) == 1:
        out, back = _ways(present[0])
        return lambda value: None if value is None else out(value), lambda plain: None if plain is None else back(plain)
    named: Mapping[str, tuple[Way, Way]] = {one.__name__: _ways(one) for one in present}

    def outward(value: Any) -> Any:
        name = type(value).__name__
        return None if value is None else [name, named[name][0](value)]

    return outward, lambda plain: None if plain is None else named[plain[0]][1](plain[1])
