"""Where the files of a run lie: `ROOT/models/NAME/RUN` and `ROOT/log/NAME/RUN`."""

from pathlib import Path

from utils.errors import ConfigError


def folders_of(root: Path, name: str, run_id: str) -> tuple[Path, Path]:
    """The folders of checkpoints and of logs."""
    return root / "models" / name / run_id, root / "log" / name / run_id


def folders_beside(checkpoint: Path) -> tuple[Path, Path]:
    """The folders of the run that a checkpoint lies in."""
    models = checkpoint.resolve().parent
    return models, models.parents[2] / "log" / models.parent.name / models.name


def make_new(root: Path, name: str, run_id: str) -> tuple[Path, Path, str]:
    """Makes the folders of a new run; a name that is taken, by a run of the same second, gets `_1`, `_2`, ..."""
    attempt, wanted = 0, run_id
    while True:
        save_dir, log_dir = folders_of(root, name, run_id)
        try:
            save_dir.mkdir(parents=True)
            log_dir.mkdir(parents=True, exist_ok=True)
            return save_dir, log_dir, run_id
        except FileExistsError:
            if not save_dir.exists():  # on the way to it lies a link to nothing
                raise ConfigError(f"{save_dir}: cannot be made; trainer.save_dir says where runs are kept") from None
            attempt += 1
            run_id = f"{wanted}_{attempt}"
        except OSError as error:
            raise ConfigError(f"{save_dir}: {error.strerror}; trainer.save_dir says where runs are kept") from None
