"""Parts of a model by patterns of their names, such as "layer4.*"."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeVar

from utils.errors import ConfigError

Part = TypeVar("Part")


def matching(parts: Iterable[tuple[str, Part]], patterns: Sequence[str], kind: str) -> dict[str, Part]:
    """Those of `model.named_modules()` or `model.named_parameters()` whose names match; not the model itself.

    ConfigError where a pattern matches none.
    """
    named = {name: part for name, part in parts if name}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            near = get_close_matches(pattern, named, n=8, cutoff=0)
            raise ConfigError(f"no {kind} matches {pattern!r} (nearest: {', '.join(near) or 'none'})")
    return {name: part for name, part in named.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}
