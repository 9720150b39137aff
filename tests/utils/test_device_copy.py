"""Batches on their way to a GPU."""

import pytest
import torch

from base import TensorDataLoader
from utils.device import to_device

GPU = torch.device("cuda", 0)
gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@gpu
@needs_gpu
@pytest.mark.parametrize("pinned", [True, False])
def test_a_batch_copied_while_the_gpu_computes_arrives_whole(pinned: bool) -> None:
    """Much to compute is queued, copies are used and freed at once: one that came too late, or whose memory was given
    away too early, would be seen."""
    factor = torch.rand(4096, 4096, device=GPU)
    batches = [torch.full((64, 3, 64, 64), float(number)) for number in range(50)]
    sums = []
    for batch in batches:
        (factor @ factor).sum()
        moved = to_device([batch.pin_memory() if pinned else batch], GPU, torch.channels_last)[0]
        sums.append((moved.amin(), moved.amax()))
        del moved
    assert [(int(low), int(high)) for low, high in sums] == [(number, number) for number in range(50)]


@gpu
@needs_gpu
def test_data_that_fits_stays_on_the_gpu_and_other_data_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TensorDataLoader([torch.rand(10, 2)], 2).to(GPU).tensors[0].is_cuda
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    assert not TensorDataLoader([torch.rand(10, 2)], 2).to(GPU).tensors[0].is_cuda
