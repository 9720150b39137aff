import pytest
import torch

from utils.epoch_metrics import EpochMetrics
from utils.errors import ConfigError

CPU = torch.device("cpu")
OUTPUT, TARGET = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 3


def accuracy(output, target):
    return (output.argmax(1) == target).double().mean()


def mistakes(output, target):
    return 1 - float(accuracy(output, target))


class Recall:
    """The part of class 1 that is found: no mean over batches."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.found, self.all = 0, torch.tensor(0)

    def update(self, output, target):
        self.found += int(((output.argmax(1) == 1) & (target == 1)).sum())
        self.all = self.all + (target == 1).sum()

    def compute(self):
        return self.found / max(int(self.all), 1)


class TorchRecall(torch.nn.Module):
    """The same as a module whose state is kept as in torchmetrics: only where `persistent` was called."""

    def __init__(self):
        super().__init__()
        self.register_buffer("counts", torch.zeros(2), persistent=False)

    def persistent(self, mode):
        self._non_persistent_buffers_set.clear()

    def reset(self):
        self.counts.zero_()

    def update(self, output, target):
        self.counts += torch.stack([((output.argmax(1) == 1) & (target == 1)).sum(), (target == 1).sum()])

    def compute(self):
        return self.counts[0] / self.counts[1].clamp(min=1)


METRICS = (accuracy, mistakes, Recall(), TorchRecall())


def seen(metrics: EpochMetrics, first: int, sizes: tuple[int, ...]) -> EpochMetrics:
    start = first
    for size in sizes:
        part = slice(start, start + size)
        loss = torch.nn.functional.cross_entropy(OUTPUT[part], TARGET[part])
        metrics.update(loss, OUTPUT[part], TARGET[part], size)
        start += size
    return metrics


def test_the_values_are_those_of_the_whole_set_however_it_is_cut():
    whole = Recall()
    whole.update(OUTPUT, TARGET)
    right = accuracy(OUTPUT, TARGET).item()
    expected = {
        "loss": torch.nn.functional.cross_entropy(OUTPUT, TARGET).item(),
        "accuracy": right,
        "mistakes": 1 - right,
        "Recall": whole.compute(),
        "TorchRecall": whole.compute(),
    }
    for sizes in ((10,), (4, 4, 2), (9, 1)):
        result = seen(EpochMetrics(METRICS, CPU), 0, sizes).result()
        assert result == pytest.approx(expected, abs=1e-6)
        assert list(result) == list(expected)


def test_a_borrowed_batch_counts_for_nothing():
    metrics = seen(EpochMetrics(METRICS, CPU), 0, (6,))
    before = metrics.result()
    metrics.update(torch.tensor(99.0), OUTPUT[6:], TARGET[6:], n=0)
    assert metrics.result() == before


def test_two_uses_of_one_metric_count_for_themselves():
    metric = Recall()
    training, validation = EpochMetrics([metric], CPU), EpochMetrics([metric], CPU)
    seen(training, 0, (10,))
    assert training.result()["Recall"] > 0
    assert validation.result()["Recall"] == 0
    assert metric.found == 0


def test_reset_begins_anew():
    metrics = seen(EpochMetrics(METRICS, CPU), 0, (4,))
    metrics.recent()
    metrics.reset()
    assert set(metrics.result().values()) == {0.0}
    expected = seen(EpochMetrics(METRICS, CPU), 4, (3,))
    assert seen(metrics, 4, (3,)).recent() == expected.recent()
    assert metrics.result() == expected.result()


def test_a_checkpoint_within_an_epoch_goes_on_exactly_with_window_and_objects(tmp_path):
    whole = seen(EpochMetrics(METRICS, CPU), 0, (3,))
    whole.recent()
    seen(whole, 3, (2,))
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    after = EpochMetrics(METRICS, CPU)
    after.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for metrics in (whole, after):
        seen(metrics, 5, (4, 1))
    assert after.recent() == whole.recent()
    assert after.result() == whole.result()


def test_metrics_may_be_others_from_a_checkpoint_on(tmp_path):
    before = seen(EpochMetrics((accuracy, Recall()), CPU), 0, (5,))
    before.means.add("of the step", 0.5, 5)
    state = before.state_dict()
    after = EpochMetrics((mistakes, accuracy, TorchRecall()), CPU)
    after.load_state_dict(state)
    seen(after, 5, (5,))
    whole = seen(EpochMetrics((accuracy,), CPU), 0, (5, 5)).result()
    late = seen(EpochMetrics((mistakes, TorchRecall()), CPU), 5, (5,)).result()
    assert after.result() == pytest.approx({**late, **whole, "of the step": 0.5})


SCRIPT = """
from utils.epoch_metrics import EpochMetrics
from utils.errors import ConfigError

class Count:
    def __init__(self): self.n = 0
    def reset(self): self.n = 0
    def update(self, output, target): self.n += len(target)
    def compute(self): return self.n

def mean(output, target): return target.mean()

def update(metrics, values):
    values = torch.tensor(values)
    metrics.update(values.mean(), values, values, len(values))

cpu, rank = torch.device("cpu"), dist.rank()
metrics = EpochMetrics([mean, Count()], cpu)
update(metrics, [[1.0, 2.0, 3.0], [10.0]][rank])
first = metrics.recent()
update(metrics, [[4.0], [20.0, 30.0]][rank])
state = dist.from_main(metrics.state_dict())  # as a file does, that of the main process stands for all
after, alone = EpochMetrics([mean, Count()], cpu), EpochMetrics([mean], cpu)
after.load_state_dict(state)
alone.load_state_dict({"sums": [state["sums"][0]], "objects": {}})
answer = {
    "recent": [first["mean"], metrics.recent()["mean"]],
    "resumed": after.recent()["mean"],
    "n": metrics.objects["Count"].n,
    "n_resumed": after.objects["Count"].n,
    "result": metrics.result()["mean"],
    "from_one": alone.result()["mean"],
}
"""


@pytest.fixture(scope="module")
def ranks(on_two_ranks):
    return on_two_ranks(SCRIPT)


def test_means_are_over_the_samples_of_all_ranks(ranks):
    for rank in ranks:
        assert rank["recent"] == [16 / 4, 54 / 3]
        assert rank["result"] == 70 / 7


def test_two_ranks_go_on_from_a_checkpoint_of_two_or_of_one(ranks):
    assert [rank["resumed"] for rank in ranks] == [54 / 3] * 2
    assert [rank["from_one"] for rank in ranks] == [10 / 4] * 2


def test_each_ranks_metric_objects_go_on_with_what_that_rank_has_seen(ranks):
    assert [rank["n"] for rank in ranks] == [4, 3]
    assert sum(rank["n_resumed"] for rank in ranks) == 7


def test_two_metrics_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two are called 'accuracy'"):
        EpochMetrics([accuracy, accuracy], CPU)
