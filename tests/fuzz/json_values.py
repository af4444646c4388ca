"""JSON with what goes wrong when somebody else writes it: other types, keys and sizes at any place."""

import copy
import random
from collections.abc import Iterator
from typing import Any

NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    0.5,
    -0.0,
    1e308,
    10**15,
    2**31,
    2**63,
    2**64,
    10**400,
    float("nan"),
    float("inf"),
    255,
    65537,
)
TEXTS = (
    *("", "a", "x" * 300, "a\nb", "\x1b[31mred", "\x9b31m", "\u202eevil", "\0", "\ud800", "\udc80", "😀", "9" * 5000),
    *(
        "/etc/passwd",
        "../../x",
        "/dev/zero",
        "NaN",
        "1e400",
        "9999-12-31T23:59:59-23:00",
        "0001-01-01",
        "val_loss",
        "{}",
    ),
    *("LD_PRELOAD", "keras", "Dense", "Lambda", "relu", "float64", "string", "int8", "complex64", "a/b", "a:b", "%s%n"),
)
ODD = (*NUMBERS, *TEXTS, None, True, False, [], {}, [None], [[]], {"": None}, {"a": {"b": 1}}, [1, 2, 3], [-1], ["a"])


def mutated(rng: random.Random, root: Any) -> Any:
    """Return the value with a few changes."""
    root = copy.deepcopy(root)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        holder = [root]
        _mutate(rng, holder)
        root = holder[0]
    return root


def _slots(holder: list | dict) -> Iterator[tuple[list | dict, Any]]:
    """Give every place of a value: what holds it, and its key or index there."""
    for key in holder if isinstance(holder, dict) else range(len(holder)):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _slots(holder[key])


def _mutate(rng: random.Random, whole: list) -> None:
    slots = list(_slots(whole))
    holder, key = rng.choice(slots)
    value = holder[key]
    match rng.randrange(12):
        case 0 | 1 | 2 | 3:
            holder[key] = copy.deepcopy(rng.choice(ODD))
        case 4:
            holder[key] = rng.choice(NUMBERS)
        case 5 if holder is not whole:
            del holder[key]
        case 6 if isinstance(holder, dict):
            holder[rng.choice((*TEXTS, str(key).upper()))] = holder.pop(key)
        case 7:
            other, at = rng.choice(slots)
            holder[key] = copy.deepcopy(other[at])
        case 8:
            holder[key] = rng.choice(([value], {"a": value}, [value, value], str(value)))
        case 9:
            for _ in range(rng.choice((3, 30, 150, 400))):
                value = [value] if rng.random() < 0.5 else {"a": value}
            holder[key] = value
        case 10:
            holder[key] = rng.choice((["a"] * 30_000, {str(n): n for n in range(30_000)}, "x" * 10**6, [[]] * 3000))
        case _:
            if isinstance(value, int | float):
                holder[key] = rng.choice(
                    (-value, value + 1, value * 1000, value * 10**9, float(min(value, 10**300)), str(value))
                )
            elif isinstance(value, str):
                holder[key] = rng.choice((value.upper(), value[:-1], value + rng.choice(TEXTS), [*value[:100]]))
            elif isinstance(value, list):
                holder[key] = rng.choice((value[:-1], value + value, value[::-1], dict.fromkeys(map(str, value))))
            else:
                holder[key] = list(value.items()) if isinstance(value, dict) else 1
