"""Which names are near each other, and what to say of a name that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, known: str) -> bool:
    """Whether `name` is likely a slip for `known`: at most two edits, one where a name has under six letters.

    A name that is another plus whole `_words` (`optimizer_d`, `train_data_loader`) is a name of its own.
    """
    if name == known or _extends(name, known) or _extends(known, name):
        return False
    return distance(name, known) <= (1 if min(len(name), len(known)) < 6 else 2)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is near to, if any."""
    candidates = [item for item in known if near(name, item)]
    ranked = get_close_matches(name, candidates, n=1, cutoff=0.0)
    return ranked[0] if ranked else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to say after "no such name": the nearest right ones, or all where they are few."""
    known = sorted(set(known))
    matches = get_close_matches(name, known, n=3, cutoff=0.6)
    folded = [item for item in known if item.lower() == name.lower() and item not in matches]
    if matches or folded:
        return f"did you mean {' or '.join(map(repr, folded + matches))}?"
    if len(known) <= 20:
        return f"there is {', '.join(known)}" if known else "there is none"
    return f"there are {len(known)}, such as {', '.join(known[:5])}"


def distance(first: str, second: str) -> int:
    """How many letters must be put in, left out, changed, or swapped with a neighbour (optimal string alignment)."""
    last: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, last, row = last, row, [i]
        for j, b in enumerate(second, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _extends(longer: str, shorter: str) -> bool:
    return longer.startswith(f"{shorter}_") or longer.endswith(f"_{shorter}") or f"_{shorter}_" in longer
