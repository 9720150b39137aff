"""Samplers that a config names: what it leaves out of their arguments, the loader gives, which knows its data."""

import inspect
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from utils.errors import ConfigError

if TYPE_CHECKING:
    import torch

LEFT_TO_LOADER = ("data_source", "dataset", "indices", "num_samples", "sampler")


def left_to_loader(target: Any) -> tuple[str, ...]:
    """Which arguments of a sampler's class a config may leave out; none of anything else."""
    if not _is_sampler(target):
        return ()
    parameters = inspect.signature(target).parameters
    return tuple(name for name in LEFT_TO_LOADER if name in parameters and _is_required(parameters[name]))


def waits_for_data(target: Any, arguments: dict[str, Any]) -> bool:
    """Whether a class with these arguments is a sampler that only the loader can make."""
    if not _is_sampler(target):
        return False
    given = arguments.values()
    return not arguments.keys() >= set(left_to_loader(target)) or "balanced" in given or any(map(_is_named, given))


def sampler_of(named: Any, dataset: Any, indices: Sequence[int] | None) -> Any:
    """The sampler (or batch sampler) of the samples `indices` of the dataset, of all if None.

    :param named: a class with some of its arguments; `"weights": "balanced"` draws every class equally often
    """
    from torch.utils.data import Subset

    if indices is None:
        return _made(named, dataset)
    in_order = sorted(indices)
    return OfPart(_made(named, Subset(dataset, in_order)), in_order)


class OfPart:
    """What a sampler of a part of a dataset draws, as indices into the whole."""

    def __init__(self, sampler: Any, indices: Sequence[int]) -> None:
        self.sampler, self.indices = sampler, indices
        self.batch_size = getattr(sampler, "batch_size", 1)  # of one that draws batches

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        for drawn in self.sampler:
            yield [self.indices[index] for index in drawn] if isinstance(drawn, list) else self.indices[drawn]


def _made(named: Any, part: Any) -> Any:
    from torch.utils.data import RandomSampler

    if not _is_named(named):
        return named
    arguments = {key: _made(value, part) for key, value in named.keywords.items()}
    if "weights" in arguments:
        arguments["weights"] = _weights(arguments["weights"], part)
    known = {"data_source": part, "dataset": part, "indices": range(len(part)), "num_samples": len(part)}
    for name in left_to_loader(named.func):
        arguments.setdefault(name, RandomSampler(part) if name == "sampler" else known[name])
    return named.func(**arguments)


def _weights(given: Any, part: Any) -> Any:
    """A weight for each sample of the part, of "balanced" or of a list for the part or for the whole data."""
    if given == "balanced":
        return balanced_weights(part)
    if isinstance(given, str):
        raise ConfigError(f'weights: {given!r} is neither a list nor "balanced"')
    whole = getattr(part, "dataset", part)
    if len(given) == len(whole) != len(part):
        return [given[index] for index in part.indices]
    if len(given) != len(part):
        raise ConfigError(f'weights: {len(given)} for {len(part)} samples; write one a sample, or "balanced"')
    return given


def balanced_weights(part: Any) -> "torch.Tensor":
    """A weight for each sample, with which every class is drawn equally often: float64 [samples]."""
    from utils.datasets import must_have_labels

    _, classes, counts = must_have_labels(part, 'weights "balanced"').unique(return_inverse=True, return_counts=True)
    return 1 / counts.double()[classes]


def _is_named(value: Any) -> bool:
    return isinstance(value, partial) and inspect.isclass(value.func)


def _is_sampler(target: Any) -> bool:
    from torch.utils.data import Sampler

    return inspect.isclass(target) and issubclass(target, Sampler)


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty
