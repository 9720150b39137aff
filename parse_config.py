"""From a config file to the objects of a run: `ConfigParser`, the face of `settings/`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from base.trainer_options import TrainerOptions
from logger.logger import get_logger, setup_logging
from settings import references
from settings.building import build, build_callable, fix, located, several
from settings.checking import check
from settings.command_line import CustomArgs, parse
from settings.document import Document, keys_of
from settings.lookup import find
from settings.opening import open_config
from settings.overrides import set_value
from settings.resuming import Change
from settings.run_folders import RunFolders
from utils.errors import ConfigError, report_user_errors
from utils.stopping import stop_while_preparing

__all__ = ["ConfigParser", "CustomArgs"]


class ConfigParser(RunFolders):
    """Reads a config, builds what it names, and knows the folders of its run.

        config = ConfigParser.from_args(parser, options)
        model = config.init_obj("arch", module_arch)      # module_arch.TYPE(**args)
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
                set_value(self.document, keys_of(self.document.tree, path), value, "option")
        if not isinstance(config, Document):
            references.resolve(self.document)
        self.resume = Path(resume) if resume is not None else None
        self.in_place = False  # go on in the folder of `resume`
        self.weights_only = False  # take only the weights from `resume`, and start at step 0
        self.changes: list[Change] = []  # what differs from the config stored in `resume`
        self.device: str | None = None  # what -d said
        self.args: dict[str, Any] = {}  # the whole command line
        self._read: set[str] = set()
        super().__init__(run_id)
        self._set_folders()

    @classmethod
    def from_args(cls, args: Any, options: Sequence[Any] = (), best: bool = False) -> "ConfigParser":
        """The config that the command line asks for; from here on the user's errors end the process with a line each.

        :param args: a click command, or an `argparse.ArgumentParser`
        :param options: the project's own `CustomArgs`
        :param best: `-r FOLDER` means the best checkpoint of a run, not the newest, and nothing goes on
        """
        report_user_errors()
        stop_while_preparing()
        setup_logging()
        values = parse(args, options)
        opened = open_config(values, options, TrainerOptions, best)
        config = cls(opened.document, opened.resume, run_id=values.get("run_id"))
        config.in_place, config.weights_only = opened.in_place, opened.weights_only
        config.changes = opened.changes
        config.device, config.args = values.get("device"), values
        if config.device is not None:
            from utils.device import select_devices

            select_devices(config.device)
        config._set_folders()
        return config

    # -- what the config names --------------------------------------------------------------------------------------

    def check(self, **modules: Any) -> None:
        """Raises ConfigError, a line a fault and all at once, if what the config says cannot be built.

        :param modules: for each section the module, or several in order, where its names are looked up
        """
        check(self.document, {section: several(module) for section, module in modules.items()})

    def at(self, *path: str | int, doing: str = "") -> AbstractContextManager[None]:
        """A context in which whatever is raised becomes one line at a place of the config."""
        return located(self.document, path, doing)

    def provide(self, value_of: Callable[[str], Any]) -> None:
        """Puts in place what the config refers to and only now is known, such as "${data.num_classes}".

        :param value_of: a name -> its value; raises LookupError where it cannot tell
        """
        references.provide(self.document, value_of)

    def init_obj(self, name: str, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds what section `name` names: `init_obj("arch", M, a, b=1)` is `M.TYPE(a, b=1, **ARGS)`.

        :param module: where the type is looked up, or several such places in order
        :param kwargs: arguments that the config leaves out, or gives as "auto"
        """
        self._read.add(name)
        return build(self.document, (name,), module, args, kwargs)

    def init_ftn(self, name: str, module: Any, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """The function or class that section `name` names, with the arguments fixed."""
        self._read.add(name)
        return fix(self.document, (name,), module, args, kwargs)

    def init_callables(self, name: str, module: Any) -> list[Any]:
        """What a section such as `loss` or `metrics` names, one or a list of NAME or {"type": NAME, "args": {...}}.

        Functions get their args fixed, classes are built.
        """
        items = self.get(name, [])
        paths = [(name, index) for index in range(len(items))] if isinstance(items, list) else [(name,)]
        return [build_callable(self.document, path, module) for path in paths]

    def named(self, name: str, module: Any) -> Any:
        """The class or function that section `name` names; without a type, `Trainer`."""
        try:
            return find(self[name].get("type", "Trainer"), several(module))
        except LookupError as error:
            raise ConfigError(self.document.fault((name, "type"), str(error)).line) from None

    # -- values -----------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        self._read.add(name)
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
        return sorted(self.config.keys() - self._read - {"name", "$schema", "config_version", "test_data_loader"})

    # -- the run ----------------------------------------------------------------------------------------------------

    def get_logger(self, name: str, verbosity: int = 2) -> Any:
        """The logger of that name: 0 shows warnings, 1 also what happens, 2 also details."""
        return get_logger(name, verbosity)

    def start_run(self) -> None:
        """Makes the run's folders and opens its info.log; a second call does nothing."""
        if self.make_folders(self.in_place):
            setup_logging(self._log_dir)
        self.share_folders()

    def _set_folders(self) -> None:
        trainer = self.config.get("trainer")
        save_dir = trainer.get("save_dir") if isinstance(trainer, dict) else None
        root = Path(save_dir if isinstance(save_dir, str) else TrainerOptions.save_dir)
        self.set_folders(root, str(self.config.get("name", "run")), self.resume if self.in_place else None)
