"""Collate functions that a config can name: from the samples of a batch, a list, to the batch.

    "collate_fn": {"type": "collate.pad_sequences", "args": {"padding": -1}}

What they draw comes from torch's global generator, which is set from the place of the batch's last sample: a batch is
the same for any number of workers, and after a resume.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import default_collate

from utils.failures import SampleError


def pad_sequences(samples: Sequence[tuple[Any, Any]], padding: float = 0) -> tuple[tuple[Tensor, Tensor], Any]:
    """Samples (sequence [T, ...], target) of any lengths as ((sequences [B, T, ...], lengths [B]), targets).

    :param padding: what fills the shorter sequences, at their ends, up to the longest of the batch
    """
    sequences = [torch.as_tensor(sequence) for sequence, _ in samples]
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    padded = pad_sequence(sequences, batch_first=True, padding_value=padding)
    return (padded, lengths), default_collate([target for _, target in samples])


def pairs(samples: Sequence[Mapping[str, Any]], data: str, target: str) -> tuple[Any, Any]:
    """Samples that are dicts as (data, target); what else stands in them is left out.

    :param data: the key of what the model takes
    :param target: the key of what its output is compared with
    """
    for key in (data, target):
        if key not in samples[0]:
            raise SampleError(f"collate.pairs: a sample has no {key!r}; it has {', '.join(map(repr, samples[0]))}")
    inputs, targets = default_collate([(sample[data], sample[target]) for sample in samples])
    return inputs, targets


def stack(samples: Sequence[Any]) -> Any:
    """As torch stacks the samples of a batch if nothing is named: for validation beside `mixup`."""
    return default_collate(list(samples))


def mixup(samples: Sequence[tuple[Tensor, int]], num_classes: int, alpha: float = 1.0) -> tuple[Tensor, Tensor]:
    """Images [B, C, H, W], each blended with another one of the batch, and the classes' shares [B, num_classes].

    Zhang et al. 2018, *mixup: Beyond Empirical Risk Minimization*. For training: name `stack` as `valid_collate_fn`.

    :param alpha: the shares are drawn from Beta(alpha, alpha)
    """
    from torchvision.transforms.v2 import MixUp

    return MixUp(num_classes=num_classes, alpha=alpha)(*default_collate(list(samples)))


def cutmix(samples: Sequence[tuple[Tensor, int]], num_classes: int, alpha: float = 1.0) -> tuple[Tensor, Tensor]:
    """As `mixup`, but a rectangle of each image comes from another one (Yun et al. 2019, *CutMix*)."""
    from torchvision.transforms.v2 import CutMix

    return CutMix(num_classes=num_classes, alpha=alpha)(*default_collate(list(samples)))
