"""Projects made from the old template run on our base/, parse_config.py, logger/ and utils/: ranks 1 to 16.

`old_projects/` holds two such projects, written as people wrote them in 2019 (the base sets the device) and in 2020
(train.py does). A test lays our files beside theirs in a temporary folder and runs the real commands. The smaller
promises are tested directly, in this process.
"""

import argparse
import collections
import copy
import importlib.util
import inspect
import json
import logging
import math
import os
import shutil
import struct
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler

import utils.util
from base import BaseDataLoader, BaseModel, BaseTrainer
from logger import TensorboardWriter
from parse_config import ConfigParser
from utils import MetricTracker, inf_loop, prepare_device
from utils.errors import ConfigError

ROOT = Path(__file__).parent.parent
OURS = ("base", "logger", "settings", "utils", "parse_config.py", "data")


# -- two old projects, run as they are ---------------------------------------------------------------------------------


def migrated(style, folder):
    """The project of that style with our files beside its own; where both have a file, its own stays."""
    for name in OURS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    shutil.copytree(ROOT / "tests" / "old_projects" / style, folder, dirs_exist_ok=True)
    return folder


def run(folder, *arguments):
    """`python ARGUMENTS` in the project's folder."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def trained(folder, *arguments):
    """As `run`, for what has to succeed."""
    finished = run(folder, "train.py", *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished


def killed(folder, *arguments, epoch):
    """Trains until the process dies within that epoch; its workers, which notice seconds later, are not waited for."""
    finished = subprocess.run(
        [sys.executable, "train.py", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
        env={**os.environ, "DIE_IN_EPOCH": str(epoch)},
    )
    assert finished.returncode == 17


def run_folder(project):
    """The folder of the project's only run."""
    (only,) = project.glob("saved/models/*/*")
    return only


def rows(project):
    """What the only run has logged, and how."""
    (only,) = project.glob("saved/log/*/*/metrics.jsonl")
    return [json.loads(line) for line in only.read_text().splitlines()]


def final_state(project):
    return torch.load(run_folder(project) / "checkpoint-last.pth")


def assert_same_run(one, other):
    assert rows(one) == rows(other)
    first, second = final_state(one), final_state(other)
    assert first["step"] == second["step"]
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, tensor in first["state_dict"].items():
        assert torch.equal(tensor, second["state_dict"][name]), name
    for name, state in first["optimizer"]["state"].items():
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(second["optimizer"]["state"][name][key]))
    assert first["lr_scheduler"] == second["lr_scheduler"]


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """The project of 2019, trained to its end."""
    project = migrated("style_2019", tmp_path_factory.mktemp("blobs"))
    project_output = trained(project, "-c", "config.json")
    return types.SimpleNamespace(path=project, output=project_output.stdout, errors=project_output.stderr)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The project of 2020, trained to its end."""
    project = migrated("style_2020", tmp_path_factory.mktemp("digits"))
    project_output = trained(project, "-c", "config.json")
    return types.SimpleNamespace(path=project, output=project_output.stdout, errors=project_output.stderr)


def test_a_project_of_2019_trains(blobs):
    assert [row["epoch"] for row in rows(blobs.path)] == [1, 2, 3]
    assert rows(blobs.path)[-1]["val_my_accuracy"] > 0.7
    assert "Traceback" not in blobs.errors


def test_a_project_of_2020_trains(digits):
    assert [row["epoch"] for row in rows(digits.path)] == [1, 2, 3]
    assert rows(digits.path)[-1]["loss"] < rows(digits.path)[0]["loss"]
    last = json.loads((digits.path / "results" / "last.json").read_text())
    assert last == {"epochs": 3, "loss": rows(digits.path)[-1]["loss"]}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_foreign_loop_killed_within_an_epoch_and_resumed_ends_as_the_unbroken_one(blobs, tmp_path, workers):
    project = migrated("style_2019", tmp_path)
    killed(project, "-c", "config.json", "--workers", workers, epoch=3)
    assert [row["epoch"] for row in rows(project)] == [1, 2]
    trained(project, "-r", run_folder(project))
    assert_same_run(blobs.path, project)


def test_a_foreign_loop_over_a_plain_data_loader_with_workers_resumes_exactly_too(digits, tmp_path):
    project = migrated("style_2020", tmp_path)
    killed(project, "-c", "config.json", epoch=3)
    trained(project, "-r", run_folder(project) / "checkpoint-last.pth")
    assert_same_run(digits.path, project)


def test_a_project_trains_with_inf_loop_and_its_own_short_options(tmp_path):
    project = migrated("style_2019", tmp_path)
    options = ["-lr", "0.02", "-s", "10", "--len_epoch", "7", "--epochs", "2", "--with_board", "false", "--hint", "x"]
    finished = trained(project, "-c", "config.json", *options)
    stored = json.loads((run_folder(project) / "config.json").read_text())
    assert stored["optimizer"]["args"]["lr"] == 0.02
    assert stored["data_loader"]["args"]["batch_size"] == 10
    assert stored["trainer"]["tensorboard"] is False
    assert stored["made"] == {"on": {"demand": "x"}}
    assert [(row["epoch"], row["step"]) for row in rows(project)] == [(1, 7), (2, 14)]
    assert "Train Epoch: 2 [3/7 (43%)]" in finished.stdout  # `_progress` of an inf_loop, which has no n_samples


def test_a_projects_own_test_script_opens_a_checkpoint_with_a_bare_torch_load(digits):
    checkpoint = run_folder(digits.path) / "checkpoint-epoch2.pth"
    finished = run(digits.path, "test.py", "-r", checkpoint)
    assert finished.returncode == 0, finished.stderr
    result = json.loads((digits.path / "test_result.json").read_text())
    assert result["epoch"] == 2
    assert result["accuracy"] > 0.1
    assert len(list(digits.path.glob("saved/models/*/*"))) == 1  # testing makes no run


def test_a_near_miss_of_a_monitor_ends_the_run_with_the_right_name_and_keeps_its_first_epoch(tmp_path):
    project = migrated("style_2019", tmp_path)
    finished = run(project, "train.py", "-c", "config.json", "--monitor", "min val_los")
    assert finished.returncode == 2
    (line,) = [line for line in finished.stderr.splitlines() if "monitor" in line]
    assert "'val_los'" in line
    assert "'val_loss'" in line
    assert "Traceback" not in finished.stderr
    assert final_state(project)["epoch"] == 1
    assert [row["epoch"] for row in rows(project)] == [1]


def test_a_monitor_that_the_log_never_has_is_warned_of_and_off(tmp_path):
    project = migrated("style_2019", tmp_path)
    finished = trained(project, "-c", "config.json", "--monitor", "max val_macro_sk_f1", "--epochs", "2")
    assert len([line for line in finished.stdout.splitlines() if "val_macro_sk_f1" in line]) == 1
    assert [row["epoch"] for row in rows(project)] == [1, 2]
    assert not (run_folder(project) / "model_best.pth").exists()


# -- rank 1: only _train_epoch is called, and any dict comes back ------------------------------------------------------


class OldTrainer(BaseTrainer):
    """The smallest trainer of a project; `logs` are what its epochs return."""

    def __init__(self, model, criterion, metric_ftns, optimizer, config, logs=None, len_epoch=3):
        super().__init__(model, criterion, metric_ftns, optimizer, config)
        self.len_epoch = len_epoch
        self.logs = logs or [{"loss": 1.0}] * 100
        self.epochs_seen = []

    def _train_epoch(self, epoch):
        self.epochs_seen.append(epoch)
        for parameter in self.model.parameters():
            parameter.data += 1
        return dict(self.logs[epoch - 1])


def config_of(folder, resume=None, **trainer):
    return ConfigParser({"trainer": {"epochs": 2, "save_dir": str(folder), **trainer}}, resume)


def trainer_of(config, kind=OldTrainer, **keywords):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return kind(model, torch.nn.functional.mse_loss, [], optimizer, config, **keywords)


def logged(config):
    return [json.loads(line) for line in (config.log_dir / "metrics.jsonl").read_text().splitlines()]


def test_the_base_calls_nothing_of_a_trainer_but_its_train_epoch(tmp_path):
    def must_not_be_called(*arguments, **keywords):
        raise AssertionError("called by the base")

    names = ("_valid_epoch", "_progress", "_train_step", "_step", "_eval", "read_batch", "validate", "log_names")
    kind = type("Trap", (OldTrainer,), dict.fromkeys(names, must_not_be_called))
    trainer = trainer_of(config_of(tmp_path), kind)
    trainer.train()
    assert trainer.epochs_seen == [1, 2]


def test_whatever_an_epoch_returns_is_logged_as_it_is(blobs):
    row = rows(blobs.path)[0]
    cells = [cell for line in row["val_confusion"] for cell in line]
    assert sum(cells) == 50
    assert row["val_per_part/first/hits"] == cells[0]
    assert row["val_per_part/second"] == cells[3]
    assert row["val_not_known"] is None
    assert "val_not_known" in blobs.output


def test_train_returns_the_log_of_the_last_epoch(tmp_path):
    log = trainer_of(config_of(tmp_path), logs=[{"loss": 2.0}, {"loss": torch.tensor(1.0), "extra": None}]).train()
    assert log == {"epoch": 2, "loss": torch.tensor(1.0), "extra": None}


# -- rank 2: attributes ------------------------------------------------------------------------------------------------


def test_everything_that_the_base_sets_can_be_set_anew_after_it(tmp_path):
    class Resetting(OldTrainer):
        def __init__(self, model, criterion, metric_ftns, optimizer, config):
            super().__init__(model, criterion, metric_ftns, optimizer, config)
            self.config = config
            self.device = torch.device("cpu")
            self.device_ids = []
            self.model = torch.nn.Linear(3, 3)
            self.optimizer = torch.optim.Adam(self.model.parameters())
            self.criterion = self.loss = None
            self.metric_ftns = self.metrics = ["new"]
            self.data_loader = [1, 2]
            self.valid_data_loader = None
            self.do_validation = False
            self.lr_scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)
            self.len_epoch = 2
            self.log_step = 1
            self.train_metrics = self.valid_metrics = MetricTracker("loss", writer=self.writer)
            self.logger = logging.getLogger("their own")
            self.epochs = 3
            self.save_period = 2

    config = config_of(tmp_path)
    trainer = trainer_of(config, Resetting)
    trainer.train()
    assert trainer.epochs_seen == [1, 2, 3]
    state = torch.load(config.save_dir / "checkpoint-last.pth")
    assert state["state_dict"]["weight"].shape == (3, 3)
    assert state["step"] == 6
    assert "lr_scheduler" in state
    assert [path.name for path in config.save_dir.glob("checkpoint-epoch*")] == ["checkpoint-epoch2.pth"]


def test_the_old_names_of_the_loss_and_of_the_metrics_hold_the_same_objects(tmp_path):
    trainer = trainer_of(config_of(tmp_path))
    assert trainer.loss is trainer.criterion is torch.nn.functional.mse_loss
    assert trainer.metrics is trainer.metric_ftns


def test_a_trainer_finds_the_folder_of_its_checkpoints_under_the_old_name(tmp_path):
    config = config_of(tmp_path)
    assert trainer_of(config).checkpoint_dir == config.save_dir


@pytest.mark.parametrize("name", ["log", "options", "seed", "checkpoints"])
def test_a_trainer_may_use_a_name_for_itself_that_the_old_base_left_free(tmp_path, name):
    class Own(OldTrainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            setattr(self, name, {"mine": []})

        def _train_epoch(self, epoch):
            getattr(self, name)["mine"].append(epoch)
            return super()._train_epoch(epoch)

    trainer = trainer_of(config_of(tmp_path), Own)
    trainer.train()
    assert trainer.epochs_seen == [1, 2]
    assert getattr(trainer, name) == {"mine": [1, 2]}


@pytest.mark.parametrize("per_epoch", [1, 6])
def test_a_trainer_that_counts_steps_of_its_own_still_trains_all_its_epochs(tmp_path, per_epoch):
    class Counting(OldTrainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.step = 0

        def _train_epoch(self, epoch):
            self.step += per_epoch  # one log point, or two updates for each of the three batches
            return super()._train_epoch(epoch)

    trainer = trainer_of(config_of(tmp_path, epochs=4), Counting)
    trainer.train()
    assert trainer.epochs_seen == [1, 2, 3, 4]


# -- rank 3: config[...] -----------------------------------------------------------------------------------------------


def test_sections_and_keys_of_a_projects_own_are_kept_and_the_unread_ones_named_once(blobs, digits):
    stored = torch.load(run_folder(blobs.path) / "checkpoint-last.pth")["config"]
    assert stored["notes"] is None
    assert stored["lamda"] == 0.001
    assert stored["trainer"]["num_previews"] == 2
    (line,) = [line for line in blobs.output.splitlines() if "notes" in line]
    assert "lamda" not in line
    assert "train_transform" not in line
    (line,) = [line for line in digits.output.splitlines() if "distill" in line]
    assert "loss_args" not in line


def test_a_config_gives_plain_dicts_that_may_be_changed(tmp_path):
    config = ConfigParser({"trainer": {"epochs": 1, "save_dir": str(tmp_path), "own": [1]}, "theirs": {"a": {"b": 1}}})
    assert type(config["theirs"]["a"]) is dict
    config["theirs"]["a"]["c"] = 2
    assert config["theirs"].pop("a") == {"b": 1, "c": 2}
    config.config["new"] = 3
    assert config["new"] == config.config["new"] == config._config.get("new") == 3
    assert "new" in config.config
    assert config["trainer"]["own"] == [1]


# -- rank 4: loaders ---------------------------------------------------------------------------------------------------


class Squares(Dataset):
    """Sample i is (i, i squared)."""

    def __init__(self, count=100):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return torch.tensor(index), torch.tensor(index * index)


def samples_of(loader):
    return [int(value) for batch, _ in loader for value in batch]


def test_a_loader_is_read_from_outside_as_before():
    loader = BaseDataLoader(Squares(), 8, True, 0.2, 0)
    assert loader.batch_size == 8
    assert loader.n_samples == len(loader.sampler) == 80
    assert len(loader) == 10
    assert loader.dataset.count == 100
    assert len(loader.valid_sampler) == 20
    assert sorted(samples_of(loader) + samples_of(loader.split_validation())) == list(range(100))


def test_the_dataset_of_a_loader_can_be_deleted():
    loader = BaseDataLoader(Squares(), 8, True, 0.2, 0)
    del loader.dataset
    assert not hasattr(loader, "dataset")


# -- rank 5: get_logger, init_obj --------------------------------------------------------------------------------------


def test_any_module_is_looked_into_and_more_keywords_may_be_given():
    config = ConfigParser({"loader": {"type": "DataLoader", "args": {"batch_size": 4}}, "net": {"type": "Linear"}})
    loader = config.init_obj("loader", torch.utils.data.dataloader, Squares(), shuffle=True, collate_fn=list)
    assert type(loader) is DataLoader
    assert (loader.batch_size, loader.collate_fn) == (4, list)
    own = types.ModuleType(__name__)
    own.Linear = lambda *sizes, **rest: (sizes, rest)
    assert config.init_obj("net", own, 1, 2, anything=3) == ((1, 2), {"anything": 3})
    assert config.init_ftn("net", torch.nn, 3, bias=False)(2).weight.shape == (2, 3)


@pytest.mark.parametrize("name", ["train", "test", "trainer", "evaluater"])
def test_a_logger_has_its_name_and_its_verbosity(name):
    config = ConfigParser({})
    assert config.get_logger(name).level == logging.DEBUG
    assert config.get_logger(name, 0).level == logging.WARNING
    assert config.get_logger(name, verbosity=1).name == name


# -- rank 6: the command line ------------------------------------------------------------------------------------------

CustomArgs = collections.namedtuple("CustomArgs", "flags type target")


@pytest.fixture
def command_line(monkeypatch, tmp_path):
    """`ConfigParser.from_args` on an old parser, as if these were the arguments; it can be used again."""
    parser = argparse.ArgumentParser()
    for flags in (["-c", "--config"], ["-r", "--resume"], ["-d", "--device"]):
        parser.add_argument(*flags, default=None, type=str)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def parse(*arguments, options=()):
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
        return ConfigParser.from_args(parser, options)

    return parse


def write_config(folder, **sections):
    path = folder / "given.json"
    path.write_text(json.dumps(sections))
    return path


def test_targets_with_semicolons_may_be_absent_and_a_parser_may_be_used_twice(command_line, tmp_path):
    options = [
        CustomArgs(["--lr", "--learning_rate"], type=float, target="optimizer;args;lr"),
        CustomArgs(["-s"], type=int, target="SEED"),
        CustomArgs(["--pretrained"], type=bool, target="arch;args;pretrained"),
        CustomArgs(["--old_tuple"], type=str, target=("trainer", "own")),
        CustomArgs(["--not_given"], type=int, target="nowhere;to;be;found"),
    ]
    path = write_config(tmp_path, optimizer={"args": {"lr": 1.0, "other": 2}}, trainer={"epochs": 1})
    given = ["--lr", "0.5", "-s", "7", "--pretrained", "false", "--old_tuple", "x"]
    for _ in range(2):
        config = command_line("-c", path, *given, options=options)
        assert config["optimizer"]["args"] == {"lr": 0.5, "other": 2}
        assert config["SEED"] == 7
        assert config["arch"]["args"]["pretrained"] is False
        assert config["trainer"]["own"] == "x"
        assert "nowhere" not in config.config
    assert command_line("-c", path, options=options)["optimizer"]["args"]["lr"] == 1.0


def test_device_indices_choose_what_cuda_sees(command_line, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    command_line("-c", write_config(tmp_path, trainer={}), "-d", "2,3")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"


def test_a_checkpoint_alone_brings_its_config(command_line, tmp_path):
    config = config_of(tmp_path, own_key=5)
    trainer_of(config).train()
    again = command_line("-r", config.save_dir / "checkpoint-last.pth")
    assert again["trainer"]["own_key"] == 5
    assert again.resume == config.save_dir / "checkpoint-last.pth"


# -- rank 7: utils -----------------------------------------------------------------------------------------------------

OLD_NAMES = ("MetricTracker", "ensure_dir", "inf_loop", "prepare_device", "read_json", "write_json")


@pytest.mark.parametrize("module", ["utils", "utils.util"])
def test_the_old_names_come_from_utils_and_from_utils_util_in_every_form_of_import(module):
    starred = {}
    exec(f"from {module} import *", starred)
    for name in OLD_NAMES:
        named = {}
        exec(f"from {module} import {name}", named)
        assert named[name] is starred[name] is getattr(utils.util, name)


def test_helpers_that_a_project_adds_to_our_util_come_with_a_star_too(tmp_path, monkeypatch):
    merged = tmp_path / "merged_util.py"
    merged.write_text(Path(utils.util.__file__).read_text() + "\n\ndef their_helper():\n    return 5\n")
    spec = importlib.util.spec_from_file_location("merged_util", merged)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "merged_util", module)
    spec.loader.exec_module(module)
    names = {}
    exec("from merged_util import *", names)
    assert names["their_helper"]() == 5
    assert "inf_loop" in names


def test_read_json_and_write_json_go_there_and_back(tmp_path):
    content = {"b": 1, "a": [1.5, None, "x"]}
    utils.util.ensure_dir(tmp_path / "x" / "y")
    utils.util.write_json(content, tmp_path / "x" / "y" / "file.json")
    read = utils.util.read_json(str(tmp_path / "x" / "y" / "file.json"))
    assert isinstance(read, collections.OrderedDict)
    assert list(read.items()) == list(content.items())


def test_inf_loop_runs_on_pass_after_pass():
    loop = inf_loop([1, 2, 3])
    assert [next(loop) for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


# -- rank 8: MetricTracker ---------------------------------------------------------------------------------------------


def test_a_metric_tracker_has_the_old_methods_and_its_data_can_be_read():
    points = []
    writer = types.SimpleNamespace(add_scalar=lambda key, value: points.append((key, float(value))))
    tracker = MetricTracker("loss", "acc", writer=writer)
    tracker.update("loss", 1.0)
    tracker.update("loss", np.float32(4), n=2)
    tracker.update("acc", torch.tensor(0.5))
    assert tracker.result() == {"loss": 3.0, "acc": 0.5}
    assert tracker.avg("loss") == 3.0
    assert tracker._data.average["loss"] == 3.0
    assert dict(tracker._data.average) == tracker.result()
    assert list(tracker._data.index.values) == ["loss", "acc"]
    assert [key for key in tracker._data.index] == ["loss", "acc"]
    assert (tracker._data.total["loss"], tracker._data.counts["loss"]) == (9.0, 3)
    assert points == [("loss", 1.0), ("loss", 4.0), ("acc", 0.5)]
    tracker.reset()
    assert tracker.result() == {"loss": 0, "acc": 0}
    check = "import sys, utils.metric_tracker; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


def test_a_metric_tracker_can_be_extended():
    class Own(MetricTracker):
        def __init__(self, *keys, writer=None, section="train"):
            super().__init__(*keys, writer=writer)
            self.section, self.now = section, {}

        def update(self, key, value, n=1):
            super().update(key, value, n)
            self.now[key] = value

        def result(self):
            return {f"{self.section}/{key}": value for key, value in super().result().items()}

    tracker = Own("loss", section="valid")
    tracker.update("loss", 2.0)
    assert tracker.result() == {"valid/loss": 2.0}
    assert tracker.now == {"loss": 2.0}


# -- rank 9: the writer ------------------------------------------------------------------------------------------------


def summary_methods():
    from torch.utils.tensorboard import SummaryWriter

    return {name: method for name, method in vars(SummaryWriter).items() if name.startswith("add_")}


def test_a_writer_that_is_off_takes_every_call_and_writes_nothing(tmp_path):
    writer = TensorboardWriter(tmp_path, logging.getLogger("test"), False)
    assert writer.writer is None
    for step in (0, 1):
        writer.set_step(step)
        writer.set_step(step, "valid")
    for name in summary_methods():
        assert getattr(writer, name)("tag", None, bins="auto") is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AttributeError):
        writer.ad_scalar("slip", 1)


class Recorder:
    """Stands for a SummaryWriter: binds each call to the real signature and keeps it."""

    def __init__(self):
        self.calls = []
        for name, method in summary_methods().items():
            setattr(self, name, self._recording(name, inspect.signature(method)))

    def _recording(self, name, signature):
        def record(*arguments, **keywords):
            bound = signature.bind(self, *arguments, **keywords)
            self.calls.append((name, {key: value for key, value in bound.arguments.items() if key != "self"}))

        parameters = list(signature.parameters.values())[1:]  # without self
        record.__signature__ = signature.replace(parameters=parameters)
        return record

    def close(self):
        pass


@pytest.fixture
def recorded(tmp_path):
    writer = TensorboardWriter(tmp_path, logging.getLogger("test"), True)
    writer._writer = Recorder()
    return writer


def test_a_writer_adds_the_mode_to_the_tag_and_the_step_to_the_point(recorded):
    calls = recorded.writer.calls
    recorded.set_step(0)
    recorded.set_step(12, "valid")
    del calls[:]
    recorded.add_scalar("loss", 0.5)
    recorded.add_image("input", "image", dataformats="HWC")
    recorded.add_histogram("weight", "values", bins="auto")
    assert calls == [
        ("add_scalar", {"tag": "loss/valid", "scalar_value": 0.5, "global_step": 12}),
        ("add_image", {"tag": "input/valid", "img_tensor": "image", "dataformats": "HWC", "global_step": 12}),
        ("add_histogram", {"tag": "weight", "values": "values", "bins": "auto", "global_step": 12}),
    ]
    assert recorded.step == 12
    assert recorded.mode == "valid"


def test_set_step_measures_speed_under_its_own_mode(recorded):
    recorded.set_step(0, "valid")
    recorded.set_step(1, "valid")
    assert [(name, call["tag"], call["global_step"]) for name, call in recorded.writer.calls] == [
        ("add_scalar", "steps_per_sec/valid", 1)
    ]


def test_every_method_of_a_summary_writer_that_takes_a_step_gets_it(recorded):
    recorded.set_step(5)
    without = []
    for name, method in summary_methods().items():
        parameters = list(inspect.signature(method).parameters.values())[1:]
        if "global_step" not in [parameter.name for parameter in parameters] or name == "add_hparams":
            continue
        required = ["x" for parameter in parameters if parameter.default is parameter.empty]
        recorded.writer.calls.clear()
        getattr(recorded, name)(*required)
        if [call.get("global_step") for _, call in recorded.writer.calls] != [5]:
            without.append(name)
    assert without == []


def test_a_step_that_the_caller_gives_counts(recorded):
    recorded.set_step(5)
    recorded.writer.calls.clear()
    recorded.add_scalar("loss", 1.0, 77)
    recorded.add_scalar("loss", 1.0, global_step=78)
    assert [call["global_step"] for _, call in recorded.writer.calls] == [77, 78]


def test_the_board_of_a_2019_project_has_its_scalars_images_and_histograms(blobs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log_dir,) = blobs.path.glob("saved/log/*/*")
    board = EventAccumulator(str(log_dir), size_guidance={"scalars": 0}).Reload()
    tags = board.Tags()
    assert {"loss/train", "loss/valid", "my_accuracy/train", "alpha/valid"} <= set(tags["scalars"])
    assert {"input/train", "input/valid"} <= set(tags["images"])
    assert "fc1.weight" in tags["histograms"]
    assert [point.step for point in board.Scalars("loss/train")] == list(range(30))


# -- rank 10: BaseDataLoader -------------------------------------------------------------------------------------------


def test_attributes_may_be_set_before_the_base_loader_is_made_and_arguments_given_by_position():
    class Old(BaseDataLoader):
        def __init__(self, data_dir, batch_size, shuffle=True, validation_split=0.0, num_workers=1, training=True):
            self.data_dir = data_dir
            self.batch_size = batch_size
            self.transforms = None
            self.dataset = Squares(40)
            super().__init__(self.dataset, batch_size, shuffle, validation_split, num_workers)

    loader = Old("data/", 10, True, 0, 0)
    assert isinstance(loader, DataLoader)
    assert loader.dataset.count == loader.n_samples == 40
    assert loader.split_validation() is None
    assert sorted(samples_of(loader)) == list(range(40))


def test_the_base_loader_has_defaults_and_passes_on_what_a_torch_loader_takes():
    loader = BaseDataLoader(Squares(30), batch_size=4, shuffle=False, drop_last=True, timeout=0, pin_memory=True)
    assert loader.drop_last
    assert samples_of(loader) == list(range(28))
    assert BaseDataLoader(Squares(30), 4, True).split_validation() is None


def test_a_collate_function_is_taken_by_name_and_as_sixth():
    def collate(samples):
        return torch.tensor([int(index) for index, _ in samples]), "theirs"

    for loader in (
        BaseDataLoader(Squares(6), 3, False, 0.0, 0, collate),
        BaseDataLoader(Squares(6), batch_size=3, shuffle=False, collate_fn=collate),
    ):
        assert [other for _, other in loader] == ["theirs", "theirs"]
    split = BaseDataLoader(Squares(6), 3, True, 3, 0, collate).split_validation()
    assert [other for _, other in split] == ["theirs"]


def test_a_project_may_make_its_validation_loader_from_the_old_init_kwargs():
    class Old(BaseDataLoader):
        def split_validation(self):
            return DataLoader(sampler=self.valid_sampler, **self.init_kwargs)

    loader = Old(Squares(), 8, True, 0.1, 0)
    old_choice = old_split(100, 10)[0]
    assert sorted(samples_of(loader.split_validation())) == sorted(old_choice)


def test_each_pass_is_shuffled_anew_from_torchs_global_generator():
    loader = BaseDataLoader(Squares(), 8, True)
    torch.manual_seed(1)
    first, second = samples_of(loader), samples_of(loader)
    torch.manual_seed(1)
    assert first != second
    assert [samples_of(loader), samples_of(loader)] == [first, second]


# -- rank 11: five positions -------------------------------------------------------------------------------------------


def test_the_base_trainer_takes_the_five_by_position_and_nothing_else(tmp_path):
    class Five(BaseTrainer):
        def _train_epoch(self, epoch):
            return {}

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion, metrics = {"a": torch.nn.MSELoss()}, [len]
    trainer = Five(model, criterion, metrics, optimizer, config_of(tmp_path))
    assert trainer.model is model
    assert trainer.optimizer is optimizer
    assert trainer.criterion is trainer.loss is criterion
    assert trainer.metric_ftns is trainer.metrics is metrics
    assert trainer.train() == {"epoch": 2}


# -- rank 12: the device -----------------------------------------------------------------------------------------------


def test_the_base_sets_the_device_and_moves_a_model_that_the_caller_did_not(tmp_path):
    moved = []

    class Watched(torch.nn.Linear):
        def to(self, device):
            moved.append(device)
            return super().to(device)

    class Plain(OldTrainer):
        pass

    model = Watched(2, 1)
    trainer = Plain(model, None, [], torch.optim.SGD(model.parameters(), lr=0.1), config_of(tmp_path))
    assert isinstance(trainer.device, torch.device)
    assert next(trainer.model.parameters()).device == trainer.device
    assert moved == [trainer.device]
    assert isinstance(trainer.device_ids, list)


@pytest.mark.parametrize("arguments", [(), (0,), (1,), (4,)])
def test_prepare_device_gives_a_device_and_a_list_of_indices_with_and_without_a_number(arguments):
    device, device_ids = prepare_device(*arguments)
    assert isinstance(device, torch.device)
    assert len(device_ids) <= 1
    assert (device.type == "cuda") == bool(device_ids)


# -- rank 13: split_validation -----------------------------------------------------------------------------------------


def old_split(n_samples, count):
    """What the old template chose: (validation, training). It reseeds NumPy's global stream, as it did then."""
    before = np.random.get_state()
    np.random.seed(0)
    indices = np.arange(n_samples)
    np.random.shuffle(indices)
    np.random.set_state(before)
    return indices[:count].tolist(), indices[count:].tolist()


@pytest.mark.parametrize(("split", "count"), [(0.1, 10), (0.25, 25), (7, 7), (0.999, 99)])
def test_validation_gets_the_samples_that_the_old_template_chose(split, count):
    loader = BaseDataLoader(Squares(), 8, True, split, 0)
    valid, train = old_split(100, count)
    assert sorted(samples_of(loader.split_validation())) == sorted(valid)
    assert sorted(samples_of(loader)) == sorted(train)
    assert loader.n_samples == len(train)


@pytest.mark.parametrize("split", [0, 0.0])
def test_without_a_split_there_is_no_validation_loader(split):
    loader = BaseDataLoader(Squares(), 8, True, split, 0)
    assert loader.split_validation() is None
    assert loader.valid_sampler is None
    assert loader.n_samples == 100


def test_neither_splitting_nor_a_pass_touches_numpys_global_stream():
    np.random.seed(99)
    before = np.random.get_state()[1].copy()
    loader = BaseDataLoader(Squares(), 8, True, 0.2, 0)
    samples_of(loader)
    samples_of(loader.split_validation())
    assert np.array_equal(np.random.get_state()[1], before)


def test_a_split_of_a_projects_own_is_used():
    class Stratified(BaseDataLoader):
        def _split_sampler(self, split):
            valid = np.arange(0, 100, 10)
            train = np.setdiff1d(np.arange(100), valid)
            self.shuffle = False
            self.n_samples = len(train)
            return SubsetRandomSampler(train), SubsetRandomSampler(valid)

    loader = Stratified(Squares(), 8, True, "folds/1.txt", 0)
    assert loader.n_samples == 90
    assert sorted(samples_of(loader.split_validation())) == list(range(0, 100, 10))
    assert not set(samples_of(loader)) & set(range(0, 100, 10))


# -- rank 14: checkpoints ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["checkpoint-last.pth", "checkpoint-previous.pth", "model_best.pth"])
def test_a_checkpoint_opens_with_a_bare_torch_load_and_has_the_old_keys(blobs, name):
    state = torch.load(run_folder(blobs.path) / name)
    assert state["arch"] == "BlobNet"
    assert state["config"]["arch"] == {"type": "BlobNet", "args": {"hidden": 24}}
    assert state["config"]["optimizer"]["type"] == "Adam"
    assert isinstance(state["epoch"], int)
    assert isinstance(state["monitor_best"], float)
    assert {"state_dict", "optimizer"} <= state.keys()
    assert not any(key.startswith("module.") for key in state["state_dict"])


def old_checkpoint(path, monkeypatch, **options):
    """What the old template wrote: its ConfigParser, pickled, with the epoch's numbers around it."""
    theirs = types.ModuleType("parse_config")
    exec("class ConfigParser:\n    def __init__(self, config):\n        self._config = config", vars(theirs))
    theirs.ConfigParser.__module__ = "parse_config"
    model = torch.nn.Linear(2, 2)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "parse_config", theirs)
        state = {
            "arch": "Linear",
            "epoch": 3,
            "state_dict": model.state_dict(),
            "optimizer": torch.optim.Adam(model.parameters()).state_dict(),
            "monitor_best": np.float64(0.5),
            "config": theirs.ConfigParser({"name": "Old", "arch": {"type": "Linear", "args": {}}}),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path, **options)
        (path.parent / "config.json").write_text('{"name": "Old"}')


def test_a_checkpoint_of_the_old_template_is_refused_in_one_line(tmp_path, monkeypatch, run_command):
    path = tmp_path / "saved" / "models" / "Old" / "0101_000000" / "checkpoint-epoch3.pth"
    old_checkpoint(path, monkeypatch)
    finished = run_command("train.py", "-r", path)
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert str(path) in line
    assert "old template" in line


def test_a_checkpoint_from_before_torch_1_6_is_refused_with_the_same_reason(tmp_path, monkeypatch, command_line):
    path = tmp_path / "saved" / "models" / "Old" / "0101_000000" / "checkpoint-epoch3.pth"
    old_checkpoint(path, monkeypatch, _use_new_zipfile_serialization=False)
    with pytest.raises(ConfigError) as refused:
        command_line("-r", path)
    (line,) = refused.value.faults
    assert str(path) in line
    assert "old template" in line


# -- rank 15: the best, the scheduler, extra state, lenient resume -----------------------------------------------------


def test_the_best_model_is_saved_at_once_whatever_the_save_period(blobs, tmp_path):
    assert (run_folder(blobs.path) / "model_best.pth").exists()
    assert not list(run_folder(blobs.path).glob("checkpoint-epoch*"))  # three epochs, save_period 5

    config = config_of(tmp_path, monitor="min val_loss", save_period=5, epochs=3)
    trainer_of(config, logs=[{"val_loss": 2.0}, {"val_loss": 1.0}, {"val_loss": 3.0}]).train()
    assert torch.load(config.save_dir / "model_best.pth")["epoch"] == 2


def test_the_schedulers_state_is_in_the_checkpoint(blobs, digits):
    assert final_state(blobs.path)["lr_scheduler"]["last_epoch"] == 3
    assert final_state(digits.path)["lr_scheduler"]["last_epoch"] == 3


def test_a_multi_step_schedule_is_after_a_resume_as_it_was_before(tmp_path):
    class Scheduled(OldTrainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.lr_scheduler = torch.optim.lr_scheduler.MultiStepLR(self.optimizer, [2, 3, 3])

        def _train_epoch(self, epoch):
            self.optimizer.step()
            self.lr_scheduler.step()
            return super()._train_epoch(epoch)

    config = config_of(tmp_path)
    trainer_of(config, Scheduled).train()
    again = trainer_of(config_of(tmp_path, config.save_dir / "checkpoint-last.pth", epochs=4), Scheduled)
    again.train()
    assert sorted(again.lr_scheduler.milestones.elements()) == [2, 3, 3]  # a Counter, not a dict
    assert again.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_more_state_is_named_in_one_line_and_comes_back(tmp_path):
    class Extra(OldTrainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.tracker = torch.nn.Linear(1, 1)

        def _stateful(self):
            return super()._stateful() | {"criterion": self.tracker}

    config = config_of(tmp_path)
    first = trainer_of(config, Extra)
    first.train()
    again = trainer_of(config_of(tmp_path, config.save_dir / "checkpoint-last.pth"), Extra)
    again.train()
    assert torch.equal(again.tracker.weight, first.tracker.weight)


def test_weights_that_do_not_fit_are_left_out_when_only_weights_are_taken(tmp_path):
    config = config_of(tmp_path)
    first = trainer_of(config)
    first.train()
    resumed = config_of(tmp_path, config.save_dir / "checkpoint-last.pth")
    resumed.weights_only = True
    model = torch.nn.Linear(3, 1)  # its weight has another shape, its bias fits
    trainer = OldTrainer(model, None, [], torch.optim.SGD(model.parameters(), lr=0.1), resumed)
    trainer.train()
    assert trainer.epochs_seen == [1, 2]
    assert torch.equal(model.bias, first.model.bias + 2)


def test_ties_are_improvements_and_an_early_stop_of_nothing_is_off(tmp_path):
    logs = [{"val_loss": 1.0}, {"val_loss": 1.0}, *[{"val_loss": 2.0}] * 10]
    for early_stop in (0, -1):
        config = config_of(tmp_path, monitor="min val_loss", early_stop=early_stop, epochs=9)
        trainer = trainer_of(config, logs=logs)
        trainer.train()
        assert len(trainer.epochs_seen) == 9
        assert torch.load(config.save_dir / "model_best.pth")["epoch"] == 2


@pytest.mark.parametrize("kind", [str, Path])
def test_the_best_weights_can_be_loaded_from_outside_after_training(tmp_path, kind):
    config = config_of(tmp_path, monitor="min val_loss", epochs=3)
    trainer = trainer_of(config, logs=[{"val_loss": 1.0}, {"val_loss": 2.0}, {"val_loss": 3.0}])
    trainer.train()
    best = config.save_dir / "model_best.pth"
    trainer._resume_checkpoint(kind(best))
    assert torch.equal(trainer.model.weight, torch.load(best)["state_dict"]["weight"])


def test_loading_the_best_weights_after_a_resumed_run_leaves_its_log_alone(command_line, tmp_path):
    logs = [{"val_loss": float(number)} for number in range(1, 6)]
    config = config_of(tmp_path, monitor="min val_loss")
    trainer_of(config, logs=logs).train()
    write_config(tmp_path)
    again = command_line("-r", config.save_dir)
    again["trainer"]["epochs"] = 4
    trainer = trainer_of(again, logs=logs)
    trainer.train()
    assert trainer.epochs_seen == [3, 4]
    trainer._resume_checkpoint(again.save_dir / "model_best.pth")
    assert torch.equal(trainer.model.weight, torch.load(again.save_dir / "model_best.pth")["state_dict"]["weight"])
    assert [row["epoch"] for row in logged(again)] == [1, 2, 3, 4]


def test_a_resume_with_more_batches_an_epoch_goes_on_with_the_next_epoch(tmp_path):
    config = config_of(tmp_path)
    trainer_of(config, len_epoch=10).train()
    for len_epoch in (5, 20):  # as with --bs
        resumed = config_of(tmp_path, config.save_dir / "checkpoint-last.pth", epochs=4)
        trainer = trainer_of(resumed, len_epoch=len_epoch)
        trainer.train()
        assert trainer.epochs_seen == [3, 4]


# -- rank 16: keys that are missing ------------------------------------------------------------------------------------


def test_missing_keys_have_defaults(digits, tmp_path):
    assert run_folder(digits.path).parent == digits.path / "saved" / "models" / "run"  # no save_dir, no name
    assert not list(digits.path.glob("saved/log/*/*/events*"))  # no tensorboard
    assert not (run_folder(digits.path) / "model_best.pth").exists()  # no monitor
    trainer = trainer_of(ConfigParser({"trainer": {"epochs": 1, "save_dir": str(tmp_path)}}))
    assert trainer.save_period == 1
    assert trainer.writer.writer is None
    assert not trainer.monitor.enabled
    assert trainer.monitor.patience == math.inf


def test_a_trainer_for_evaluation_needs_no_trainer_section():
    assert trainer_of(ConfigParser({"arch": {"type": "Linear"}})).writer.writer is None


# -- ranks 17, 18 and 20, where they cost nothing ----------------------------------------------------------------------


@pytest.mark.parametrize("criterion", [{"l1": torch.nn.L1Loss()}, [torch.nn.L1Loss()], torch.nn.L1Loss(), None])
@pytest.mark.parametrize("metrics", [[], None, {"mae": abs}])
def test_losses_and_metrics_of_any_kind_are_kept_as_they_are(tmp_path, criterion, metrics):
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = OldTrainer(model, criterion, metrics, optimizer, config_of(tmp_path))
    assert trainer.loss is criterion
    assert trainer.metrics is metrics


@pytest.mark.parametrize("attribute", ["save_dir", "log_dir"])
def test_a_folder_that_a_project_sets_stays_set(tmp_path, attribute):
    config = config_of(tmp_path)
    chosen = tmp_path / "chosen"
    setattr(config, attribute, chosen)
    assert getattr(config, attribute) == chosen
    assert getattr(config, f"_{attribute}") == chosen
    trainer_of(config).train()
    assert (chosen / ("checkpoint-last.pth" if attribute == "save_dir" else "metrics.jsonl")).exists()


def test_a_checkpoint_that_a_project_sets_as_text_is_resumed(tmp_path):
    config = config_of(tmp_path)
    trainer_of(config).train()
    again = config_of(tmp_path, epochs=3)
    again.resume = str(config.save_dir / "checkpoint-last.pth")
    trainer = trainer_of(again)
    trainer.train()
    assert trainer.epochs_seen == [3]


def test_many_runs_of_one_process_in_one_second_have_folders_and_logs_of_their_own(tmp_path):
    tree = {"trainer": {"epochs": 1, "save_dir": str(tmp_path)}}
    configs = [ConfigParser(copy.deepcopy(tree), run_id="same") for _ in range(3)]
    for number, config in enumerate(configs):
        trainer_of(config, logs=[{"loss": float(number)}]).train()
    assert len({config.save_dir for config in configs}) == 3
    assert [logged(config)[0]["loss"] for config in configs] == [0.0, 1.0, 2.0]
    for config in configs:
        text = (config.log_dir / "info.log").read_text()
        assert text.count("epoch 1/1") == 1


# -- models ------------------------------------------------------------------------------------------------------------


def test_a_base_model_prints_its_trainable_parameters(blobs):
    class Net(BaseModel):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)
            self.frozen = torch.nn.Linear(2, 2).requires_grad_(False)

        def forward(self, x):
            return self.frozen(self.layer(x))

    assert str(Net()).splitlines()[-1] == "Trainable parameters: 8"
    assert "Trainable parameters: 1,036" in blobs.output


# -- the old template's own config -------------------------------------------------------------------------------------

MNIST_LENET = """\
{
    "name": "Mnist_LeNet",
    "n_gpu": 1,

    "arch": {
        "type": "MnistModel",
        "args": {}
    },
    "data_loader": {
        "type": "MnistDataLoader",
        "args":{
            "data_dir": "data/",
            "batch_size": 128,
            "shuffle": true,
            "validation_split": 0.1,
            "num_workers": 2
        }
    },
    "optimizer": {
        "type": "Adam",
        "args":{
            "lr": 0.001,
            "weight_decay": 0,
            "amsgrad": true
        }
    },
    "loss": "nll_loss",
    "metrics": [
        "accuracy", "top_k_acc"
    ],
    "lr_scheduler": {
        "type": "StepLR",
        "args": {
            "step_size": 50,
            "gamma": 0.1
        }
    },
    "trainer": {
        "epochs": 100,

        "save_dir": "saved/",
        "save_period": 1,
        "verbosity": 2,
        
        "monitor": "min val_loss",
        "early_stop": 10,

        "tensorboard": true
    }
}
"""


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_the_old_templates_own_config_trains_and_is_tested_unchanged(tmp_path, run_command):
    config = tmp_path / "config.json"
    config.write_text(MNIST_LENET)
    random = np.random.RandomState(0)
    for part, count in (("train", 400), ("t10k", 60)):
        images = random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        write_idx(tmp_path / "data" / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", images)
        write_idx(
            tmp_path / "data" / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", random.randint(0, 10, count, np.uint8)
        )
    short = ["-s", "trainer.epochs=1", "-s", f"trainer.save_dir={tmp_path / 'saved'}"]
    finished = run_command("train.py", "-c", config, "-s", f"data_loader.args.data_dir={tmp_path / 'data'}", *short)
    assert finished.returncode == 0, finished.stderr
    (run_path,) = (tmp_path / "saved" / "models" / "Mnist_LeNet").iterdir()
    state = torch.load(run_path / "checkpoint-epoch1.pth")
    assert (state["arch"], state["step"]) == ("MnistModel", 3)
    (row,) = [row for row in rows(tmp_path) if row["kind"] == "epoch"]
    assert {"loss", "accuracy", "top_k_acc", "val_loss", "val_accuracy", "val_top_k_acc"} <= row.keys()

    finished = run_command("test.py", "-r", run_path)
    assert finished.returncode == 0, finished.stderr
    assert json.loads((run_path / "test.json").read_text())["n_samples"] == 60
