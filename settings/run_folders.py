"""Where the files of a run lie: `ROOT/models/NAME/RUN` and `ROOT/log/NAME/RUN`."""

from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path

from utils import dist
from utils.errors import ConfigError, UserError
from utils.platform_files import hold_lock


class RunFolders(ABC):
    """The folders of one run: known from the beginning, made when they are asked for.

    :param run_id: their name (default: the time)
    """

    def __init__(self, run_id: str | None) -> None:
        self.run_id = run_id if run_id is not None else datetime.now().strftime("%m%d_%H%M%S")
        self._root, self._name = Path(), ""
        self._save_dir, self._log_dir = Path(), Path()
        self._started = False
        self._chosen = False  # a folder was set by hand

    @abstractmethod
    def start_run(self) -> None:
        """Makes the folders; a second call does nothing."""

    @property
    def save_dir(self) -> Path:
        """Where checkpoints go; asking for it starts the run."""
        self.start_run()
        return self._save_dir

    @save_dir.setter
    def save_dir(self, path: str | Path) -> None:
        self._save_dir, self._chosen = Path(path), True

    @property
    def log_dir(self) -> Path:
        """Where logs go; asking for it starts the run."""
        self.start_run()
        return self._log_dir

    @log_dir.setter
    def log_dir(self, path: str | Path) -> None:
        self._log_dir, self._chosen = Path(path), True

    def set_folders(self, root: Path, name: str, checkpoint: Path | None) -> None:
        """Says where the folders will be.

        :param checkpoint: one of the run that goes on in place
        """
        self._root, self._name = root, name
        self._save_dir, self._log_dir = folders_of(root, name, self.run_id)
        if checkpoint is not None:
            self._save_dir, self._log_dir = folders_beside(checkpoint)
            self.run_id = self._save_dir.name

    def make_folders(self, in_place: bool) -> bool:
        """Makes and locks the folders, once and on the main process only; whether it has."""
        if self._started or not dist.is_main():
            return False
        if in_place or self._chosen or self.run_id == "":
            self._save_dir.mkdir(parents=True, exist_ok=True)
            self._log_dir.mkdir(parents=True, exist_ok=True)
            refuse_links(self._save_dir, self._log_dir)
        else:
            self._save_dir, self._log_dir, self.run_id = make_new(self._root, self._name, self.run_id)
        if not hold_lock(self._save_dir / ".lock"):
            raise UserError(f"{self._save_dir}: another process is training this run")
        return True

    def share_folders(self) -> None:
        """Tells all processes, once, where the main process has made the folders."""
        if not self._started:
            self._started = True
            self._save_dir, self._log_dir, self.run_id = dist.from_main((self._save_dir, self._log_dir, self.run_id))


def refuse_links(*folders: Path) -> None:
    """Raises ConfigError for a link among a run's files: through one, a stranger's folder would write elsewhere."""
    for path in (path for folder in folders for path in folder.iterdir()):
        if path.is_symlink():
            raise ConfigError(f"{path}: a link to {path.readlink()}; a run writes its own files only: remove the link")


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
