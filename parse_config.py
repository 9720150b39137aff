"""From a config file to the objects of a run: `ConfigParser`."""

import copy
import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any

from base.trainer_options import TrainerOptions
from logger.logger import get_logger, setup_logging
from settings.checking import check, may_be_added
from settings.command_line import CustomArgs, modification, parse
from settings.document import Document, KeyPath
from settings.lookup import find
from settings.overrides import apply_sets, set_value
from settings.reading import read_config
from utils import dist
from utils.errors import ConfigError, report_user_errors

__all__ = ["ConfigParser", "CustomArgs"]


class ConfigParser:
    """Reads a config, builds what it names, and knows the folders of its run.

        config = ConfigParser.from_args(parser, options)
        model = config.init_obj("arch", module_arch)      # module_arch.NAME(**args)
        config["trainer"]["epochs"]                       # any value; sections of your own too

    Nothing is written before `start_run`.

    :param config: the tree of a config file, or a Document of it
    :param resume: a checkpoint to start from
    :param modification: values to put in place, by key path ("optimizer;args;lr", or a tuple)
    :param run_id: the name of the run's folder (default: the time)
    """

    def __init__(
        self,
        config: dict[str, Any] | Document,
        resume: str | Path | None = None,
        modification: dict[Any, Any] | None = None,
        run_id: str | None = None,
    ) -> None:
        self.document = config if isinstance(config, Document) else Document(config)
        for target, value in (modification or {}).items():
            if value is not None:
                path = tuple(target.split(";")) if isinstance(target, str) else tuple(target)
                set_value(self.document, path, value, "option")
        self.resume = Path(resume) if resume is not None else None
        self.weights_only = False  # take only the weights from `resume`, and start at step 0
        self.in_place = False  # go on in the folder of `resume`
        self.device: str | None = None  # what -d said
        self.run_id = run_id if run_id is not None else datetime.now().strftime("%m%d_%H%M%S")
        self._unread = set(self.config)
        self._started = False
        self._set_folders()

    @classmethod
    def from_args(cls, args: Any, options: Sequence[Any] = ()) -> "ConfigParser":
        """The config that the command line asks for; ends the process with one line and exit code 2 if it cannot be.

        :param args: a click command, or an `argparse.ArgumentParser`
        :param options: the project's own `CustomArgs`
        """
        report_user_errors()
        setup_logging()
        values = parse(args, options)
        if values.get("device") is not None:
            from utils.device import select_devices

            select_devices(values["device"])
        parser = cls._from_files(values.get("config"), values.get("resume"), values.get("run_id"))
        parser.device = values.get("device")
        for target, (value, flag) in modification(values, options).items():
            set_value(parser.document, target, value, flag)
        apply_sets(parser.document, values.get("set") or (), may_be_added(TrainerOptions))
        parser.args = values
        parser._unread = set(parser.config)
        parser._set_folders()
        return parser

    @classmethod
    def _from_files(cls, config: str | None, resume: str | None, run_id: str | None) -> "ConfigParser":
        document = read_config(Path(config)) if config else None
        if resume is None:
            if document is None:
                raise ConfigError("no config: add -c config.json, or -r RUN to go on with a run")
            return cls(document, run_id=run_id)
        from utils.checkpoint import read
        from utils.checkpoint_folder import locate

        file, newest = locate(Path(resume))
        if document is not None:
            parser = cls(document, resume=file, run_id=run_id)
            parser.weights_only = True
            return parser
        parser = cls(Document(read(file)["config"], name=str(file)), resume=file, run_id=run_id)
        parser.in_place = newest and run_id is None
        return parser

    # -- what the config names --------------------------------------------------------------------------------------

    def check(self, **modules: Any) -> None:
        """Raises ConfigError, a line a fault and all at once, if what the config says cannot be built.

        :param modules: for each section the module, or several in order, where its names are looked up
        """
        check(self.document, {section: _several(module) for section, module in modules.items()})

    def init_obj(self, name: str, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds what section `name` names: `init_obj("arch", M, a, b=1)` is `M.TYPE(a, b=1, **ARGS)`.

        An argument that the config gives as "auto" is left to the code; any other is either's, not both's.

        :param module: where the type is looked up, or several such places in order
        """
        target, arguments = self._target(name, module, kwargs)
        with self._construction(name, target):
            return target(*args, **arguments)

    def init_ftn(self, name: str, module: Any, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """The function or class that section `name` names, with the given arguments fixed."""
        target, arguments = self._target(name, module, kwargs)
        return _named_partial(target, *args, **arguments)

    def init_callables(self, name: str, module: Any) -> list[Any]:
        """What a section such as `loss` or `metrics` names, one or a list: functions as they are, classes built.

        Each item is a name, or {"type": NAME, "args": {...}}; a function gets its args fixed.
        """
        items = self[name]
        paths: list[KeyPath] = [(name, i) for i in range(len(items))] if isinstance(items, list) else [(name,)]
        return [
            self._callable(path, item, module)
            for path, item in zip(paths, items if isinstance(items, list) else [items])
        ]

    def trainer_class(self, module: Any) -> Any:
        """The trainer that the config names: `trainer.type`, else Trainer."""
        return self._find(("trainer", "type"), self["trainer"].get("type", "Trainer"), module)

    def _callable(self, path: KeyPath, item: Any, module: Any) -> Any:
        node = item if isinstance(item, dict) else {"type": item}
        target, arguments = (
            self._find((*path, "type") if isinstance(item, dict) else path, node["type"], module),
            node.get("args", {}),
        )
        if not inspect.isclass(target):
            return _named_partial(target, **arguments) if arguments else target
        with self._construction(path[0], target):
            built = target(**copy.deepcopy(arguments))
        if not hasattr(built, "__name__"):
            built.__name__ = target.__name__
        return built

    def _target(self, name: str, module: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        section = self[name]
        if not isinstance(section, dict) or "type" not in section:
            raise ConfigError(self.document.fault((name,), 'write {"type": NAME, "args": {...}}').line)
        arguments = copy.deepcopy(dict(section.get("args", {})))
        doubled = [key for key in kwargs if arguments.get(key, "auto") != "auto"]
        if doubled:
            raise ConfigError(self.document.fault((name, "args", doubled[0]), "is set by the code; leave it out").line)
        return self._find((name, "type"), section["type"], module), arguments | kwargs

    def _find(self, path: KeyPath, name: Any, module: Any) -> Any:
        try:
            return find(name, _several(module))
        except LookupError as error:
            raise ConfigError(self.document.fault(path, str(error)).line) from None

    def _construction(self, name: str | int, target: Any) -> "_Construction":
        return _Construction(self.document, (name,), target)

    # -- values -----------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        self._unread.discard(name)
        if name not in self.config:
            raise KeyError(f"the config has no section {name!r}; it has {', '.join(map(str, self.config))}")
        return self.config[name]

    def __contains__(self, name: str) -> bool:
        return name in self.config

    def get(self, name: str, default: Any = None) -> Any:
        """The section `name`, or `default` where the config has none."""
        return self[name] if name in self.config else default

    def where(self, *path: str | int) -> str:
        """The place of a value: "config.json:12:17", or the option that set it."""
        return self.document.place(path)

    @property
    def config(self) -> dict[str, Any]:
        """The whole tree, as plain dicts and lists."""
        return self.document.tree

    _config = config

    def unread(self) -> list[str]:
        """The sections that nothing has asked for."""
        return sorted(self._unread - {"name", "$schema", "config_version"})

    # -- the run ----------------------------------------------------------------------------------------------------

    def get_logger(self, name: str, verbosity: int = 2) -> Any:
        """The logger of that name: 0 shows warnings, 1 also what happens, 2 also details."""
        return get_logger(name, verbosity)

    @property
    def save_dir(self) -> Path:
        """Where checkpoints go; asking for it starts the run."""
        self.start_run()
        return self._save_dir

    @save_dir.setter
    def save_dir(self, path: str | Path) -> None:
        self._save_dir = Path(path)

    @property
    def log_dir(self) -> Path:
        """Where logs go; asking for it starts the run."""
        self.start_run()
        return self._log_dir

    @log_dir.setter
    def log_dir(self, path: str | Path) -> None:
        self._log_dir = Path(path)

    def start_run(self) -> None:
        """Makes the run's folders and opens its info.log; a second call does nothing.

        Two runs that start in the same second get folders of their own.
        """
        if self._started:
            return
        self._started = True
        if dist.is_main():
            self._make_folders()
            setup_logging(self._log_dir)
        self._save_dir, self._log_dir, self.run_id = dist.from_main((self._save_dir, self._log_dir, self.run_id))

    def _set_folders(self) -> None:
        if self.in_place and self.resume is not None:
            self._save_dir = self.resume.parent.resolve()
            self.run_id = self._save_dir.name
            self._log_dir = self._save_dir.parents[2] / "log" / self._save_dir.parent.name / self.run_id
            return
        trainer = self.config.get("trainer")
        root = Path((trainer if isinstance(trainer, dict) else {}).get("save_dir", TrainerOptions.save_dir))
        name = str(self.config.get("name", "run"))
        self._save_dir, self._log_dir = root / "models" / name / self.run_id, root / "log" / name / self.run_id

    def _make_folders(self) -> None:
        first, attempt = self.run_id, 0
        while True:
            try:
                self._save_dir.mkdir(parents=True, exist_ok=self.in_place or first == "")
                break
            except FileExistsError:
                attempt += 1
                self.run_id = f"{first}_{attempt}"
                self._set_folders()
            except OSError as error:
                raise ConfigError(f"{self.where('trainer', 'save_dir')}: {self._save_dir}: {error.strerror}") from None
        self._log_dir.mkdir(parents=True, exist_ok=True)


class _Construction:
    """A context that turns a constructor's TypeError or ValueError into one line at the section's place."""

    def __init__(self, document: Document, path: KeyPath, target: Any) -> None:
        self.document, self.path, self.target = document, path, target

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, (TypeError, ValueError)):
            innermost = inspect.getinnerframes(traceback)[-1]
            text = f"{getattr(self.target, '__name__', self.target)}: {error} ({innermost.filename}:{innermost.lineno})"
            raise ConfigError(self.document.fault(self.path, text).line) from error


def _several(module: Any) -> tuple[Any, ...]:
    return tuple(module) if isinstance(module, (tuple, list)) else (module,)


def _named_partial(target: Any, *args: Any, **kwargs: Any) -> Any:
    fixed = partial(target, *args, **kwargs)
    update_wrapper(fixed, target)
    return fixed
