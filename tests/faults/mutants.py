"""The project, broken on purpose: what the harness must catch. A harness that cannot fail proves nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def saves_in_place() -> None:
    from utils import checkpoint

    @contextmanager
    def in_place(path: Path) -> Iterator[Path]:
        yield path

    checkpoint.replacing = in_place


def never_syncs() -> None:
    from utils import checkpoint

    checkpoint.sync_file = lambda descriptor: None


def never_syncs_the_folder() -> None:
    from utils import platform_files

    platform_files.sync_folder = lambda folder: None


def prunes_first() -> None:
    from utils.checkpoint_folder import CheckpointFolder

    save = CheckpointFolder.save

    def pruned_first(self: Any, state: Any, epoch: int | None = None, best: bool = False) -> Path:
        if epoch is not None:
            (self.path / f"checkpoint-epoch{epoch - 1}.pth").unlink(missing_ok=True)
        return save(self, state, epoch, best)

    CheckpointFolder.save = pruned_first


def log_is_not_synced() -> None:
    from logger import metrics_log

    metrics_log.sync_file = lambda descriptor: None


def forgets(*names: str) -> Callable[[], None]:
    """A trainer whose checkpoints lack parts."""

    def mutate() -> None:
        from trainer.trainer import Trainer

        stateful = Trainer._stateful
        Trainer._stateful = lambda self: {name: part for name, part in stateful(self).items() if name not in names}

    return mutate


def position_counted_in_the_sampler() -> None:
    """A resume goes on behind what the workers had fetched ahead, not behind what was trained on."""
    from trainer.trainer import Trainer

    resume = Trainer._resume_checkpoint

    def resumed(self: Any, path: Any) -> None:
        resume(self, path)
        portions, ahead = self.data_loader.portions, 2 * self.data_loader.num_workers
        self.data_loader.portions = lambda start: portions(start + ahead)

    Trainer._resume_checkpoint = resumed


def randomness_of_a_step_has_no_address() -> None:
    from trainer import trainer

    trainer.seed_generators = lambda *place: None


def randomness_of_a_sample_has_no_address() -> None:
    from utils import seeded_samples

    seeded_samples.seed_cpu_generators = lambda *place: None


def passes_are_shuffled_by_the_global_generator() -> None:
    import torch

    from utils import batch_order

    batch_order.generator = lambda *place: torch.default_generator


def log_is_not_cut() -> None:
    from logger.metrics_log import MetricsLog

    MetricsLog.cut = lambda self, position, step: None


def checksums_are_not_verified() -> None:
    from utils import checkpoint

    checkpoint._damage = lambda path: None


def validation_of_a_killed_epoch_is_skipped() -> None:
    """Saves before the validation too, and takes the epoch for done."""
    from trainer.trainer import Trainer

    valid_epoch, resume = Trainer._valid_epoch, Trainer._resume_checkpoint

    def saved_before(self: Any, epoch: int) -> Any:
        self._save()
        return valid_epoch(self, epoch)

    def resumed(self: Any, path: Any) -> None:
        resume(self, path)
        if self._is_pending:
            self._is_pending, self._epoch = False, self._epoch + 1

    Trainer._valid_epoch, Trainer._resume_checkpoint = saved_before, resumed


def previous_is_a_link_to_last() -> None:
    """Both names are one file: what damages the one damages the other."""
    from utils import checkpoint

    link = checkpoint.link_or_copy
    write = checkpoint.write

    def written(state: Any, path: Path, more_names: Any = (), previous: Path | None = None) -> None:
        write(state, path, more_names, None)
        if previous is not None:
            link(path, previous)

    checkpoint.write = written


def lock_is_inherited() -> None:
    """flock instead of lockf: forked workers keep it when the main process is killed."""
    import fcntl

    fcntl.lockf = fcntl.flock


def nan_is_saved() -> None:
    from utils import checkpoint_folder

    checkpoint_folder.is_finite = lambda state, parameters: True


MUTANTS: dict[str, Callable[[], None]] = {
    **{
        mutant.__name__: mutant
        for mutant in (
            *(saves_in_place, never_syncs, never_syncs_the_folder, prunes_first, log_is_not_synced, log_is_not_cut),
            *(position_counted_in_the_sampler, randomness_of_a_step_has_no_address, lock_is_inherited, nan_is_saved),
            *(randomness_of_a_sample_has_no_address, passes_are_shuffled_by_the_global_generator),
            *(checksums_are_not_verified, validation_of_a_killed_epoch_is_skipped),
            previous_is_a_link_to_last,
        )
    },
    "optimizer_is_not_saved": forgets("optimizer"),
    "schedule_is_not_saved": forgets("lr_scheduler"),
    "average_is_not_saved": forgets("ema"),
    "monitor_is_not_saved": forgets("monitor"),
    "sums_are_not_saved": forgets("running"),
}
