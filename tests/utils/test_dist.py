from pathlib import Path

import pytest
import torch

from utils import dist

SCRIPT = """
from pathlib import Path

rank = dist.rank()
values = torch.tensor([1.0, 10.0 + rank])
total = dist.sum_over_ranks(values)

torch.manual_seed(rank)
model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))
model(torch.full((4, 2), float(rank)) + torch.rand(4, 2))
own = model[1].running_mean.item()
dist.share_buffers(model)

linear = torch.nn.Linear(1, 1, bias=False)
torch.nn.init.constant_(linear.weight, 0.0)
wrapped = dist.wrap(linear, torch.device("cpu"))
data = torch.tensor([[1.0 + 2 * rank]])
with dist.local_gradients(wrapped, enabled=True):
    wrapped(data).sum().backward()
local = linear.weight.grad.item()
linear.weight.grad = None
with dist.local_gradients(wrapped, enabled=False):
    wrapped(data).sum().backward()

answer = {
    "world": [dist.world_size(), rank, dist.local_rank(), dist.local_world_size(), dist.is_main()],
    "sum": [total.tolist(), values.tolist()],
    "gathered": [part.tolist() for part in dist.gather(values)],
    "from_main": str(dist.from_main((Path("a") / str(rank), rank))),
    "buffers": [own, model[1].running_mean.item(), model[1].num_batches_tracked.item()],
    "gradients": [local, linear.weight.grad.item()],
    "unwrapped": dist.unwrap(wrapped) is linear,
}
"""


@pytest.fixture(scope="module")
def ranks(on_two_ranks):
    return on_two_ranks(SCRIPT)


def test_torchruns_environment_says_who_a_process_is(ranks):
    assert [rank["world"] for rank in ranks] == [[2, 0, 0, 2, True], [2, 1, 1, 2, False]]


def test_a_sum_is_over_all_ranks_and_leaves_each_ranks_values_alone(ranks):
    assert [rank["sum"] for rank in ranks] == [[[2, 21], [1, 10]], [[2, 21], [1, 11]]]


def test_values_are_gathered_in_the_order_of_ranks(ranks):
    assert [rank["gathered"] for rank in ranks] == [[[1, 10], [1, 11]]] * 2


def test_every_rank_gets_what_the_main_process_has(ranks):
    assert [rank["from_main"] for rank in ranks] == [str((Path("a/0"), 0))] * 2


def test_buffers_become_those_of_the_main_process(ranks):
    (main, main_after, _), (own, after, count) = (rank["buffers"] for rank in ranks)
    assert own != main
    assert main_after == after == main
    assert count == 1


def test_gradients_are_averaged_over_ranks_unless_they_are_kept_local(ranks):
    assert [rank["gradients"] for rank in ranks] == [[1, 2], [3, 2]]


def test_the_model_inside_is_found_again(ranks):
    assert all(rank["unwrapped"] for rank in ranks)
    model = torch.nn.Linear(1, 1)
    assert dist.unwrap(torch.nn.DataParallel(model)) is dist.unwrap(model) is model


def test_with_one_process_the_same_calls_do_nothing():
    values, model = torch.ones(2), torch.nn.BatchNorm1d(1)
    dist.start(torch.device("cpu"))
    assert not torch.distributed.is_initialized()
    assert (dist.world_size(), dist.rank(), dist.local_rank(), dist.local_world_size()) == (1, 0, 0, 1)
    assert dist.sum_over_ranks(values) is dist.gather(values)[0] is dist.from_main(values) is values
    assert dist.wrap(model, torch.device("cpu")) is model
    with dist.local_gradients(model, enabled=True):
        dist.share_buffers(model)
    dist.stop()


def test_a_rank_without_other_processes_is_the_main_one(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert (dist.rank(), dist.local_rank(), dist.is_main()) == (0, 0, True)
