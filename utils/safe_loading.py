"""While other people's code loads files for us, it loads plain data only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

FORCE, FORBID = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


@contextmanager
def plain_data_only(enabled: bool = True) -> Iterator[None]:
    """A context in which every `torch.load`, whoever calls it and whatever the environment says, refuses objects."""
    before = {name: os.environ.get(name) for name in (FORCE, FORBID)}
    if enabled:
        os.environ[FORCE] = "1"
        os.environ.pop(FORBID, None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
