"""Ways to train a job, one a function: by hand, by the project, as the tutorials do, by the libraries one would take.

python benchmarks/arms.py WAY JOB, a process of `contest.Arm`; each line on its standard input is an epoch to train.

A job is a config of the project. By hand is eager PyTorch over tensors that are ready. All others but the project train
MNIST from a DataLoader with two workers and torchvision's transforms for each sample, as pytorch.org teaches it, and
log the loss and the accuracy of the validation part, as far as they do that by themselves.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from benchmarks.made import offer  # noqa: E402
from utils.memory import peak  # noqa: E402

OWN = ("base", "data_loader", "logger", "model", "parse_config", "settings", "trainer", "utils")
LOSSES = {"cross_entropy": F.cross_entropy, "nll_loss": F.nll_loss}


class Turns:
    """Waits for the next turn, and answers what it took."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # whatever a library prints is no answer
        self._began: float | None = None

    def begin(self) -> None:
        """Returns when an epoch is wanted, and starts the clock."""
        if not sys.stdin.readline():
            sys.exit()
        self._began = perf_counter()

    def end(self, accuracy: float) -> None:
        """The epoch is trained and validated."""
        if self._began is None:
            return
        answer = {"seconds": perf_counter() - self._began, "accuracy": float(accuracy), "peak": peak() / 2**20}
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()

    def next(self, accuracy: Callable[[], float] = lambda: 0.0) -> None:
        """For a library that calls back at the start of an epoch: the one before is over, and all that comes after."""
        if self._began is not None:
            self.end(accuracy())
        self.begin()


def by_hand(turns: Turns, config: dict[str, Any]) -> None:
    """The loop one would write, over tensors that are ready."""
    from data_loader import data_loaders
    from model import model as module_arch
    from settings.lookup import find

    args = config["data_loader"]["args"]
    loader: Any = find(config["data_loader"]["type"], [data_loaders])(**args)
    transform = loader.transform or torch.nn.Identity()
    images = torch.cat([transform(part) for part in loader.tensors[0].split(1000)])
    labels, valid = loader.tensors[1], torch.as_tensor(loader.valid_sampler)
    train = torch.as_tensor(loader.sampler.indices)
    model: Any = find(config["arch"]["type"], [module_arch])(**config["arch"].get("args", {}))
    optimizer_args = {key: value for key, value in config["optimizer"]["args"].items() if key != "fused"}
    optimizer = getattr(torch.optim, config["optimizer"]["type"])(model.parameters(), **optimizer_args)
    loss_function = LOSSES[config["loss"]]
    while True:
        turns.begin()
        model.train()
        for batch in train[torch.randperm(len(train))].split(args["batch_size"]):
            loss = loss_function(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        losses, right = 0.0, 0
        with torch.no_grad():
            for batch in valid.split(args["batch_size"]):
                output = model(images[batch])
                losses += float(loss_function(output, labels[batch], reduction="sum"))
                right += int((output.argmax(dim=1) == labels[batch]).sum())
        turns.end(right / len(valid))


def by_project(turns: Turns, config: dict[str, Any]) -> None:
    """The project, with everything on that the config has on, and exactness."""
    import logging
    import tempfile

    from parse_config import ConfigParser
    from train import build

    with tempfile.TemporaryDirectory() as folder:
        config["trainer"] |= {"epochs": 1000, "save_dir": folder, "verbosity": 0, "threads": torch.get_num_threads()}
        trainer = build(ConfigParser(config, run_id="benchmark"))
        trainer._begin()
        logging.getLogger().handlers.clear()
        while True:
            turns.begin()
            number = trainer._epochs_done() + 1
            log = {"epoch": number, **trainer._train_epoch(number)}
            trainer._epoch = number
            trainer._end_epoch(number, log)
            turns.end(log.get("val_accuracy", 0.0))


def mnist_loaders(config: dict[str, Any]) -> tuple[Any, Any]:
    """Loaders of the training and of the validation part as the tutorials make them."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    args = config["data_loader"]["args"]
    normalize = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    data = datasets.MNIST(args["data_dir"], train=True, transform=normalize)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).tolist()
    train, valid = Subset(data, order[6000:]), Subset(data, order[:6000])
    options = {"batch_size": args["batch_size"], "num_workers": 2, "persistent_workers": True}
    return DataLoader(train, shuffle=True, **options), DataLoader(valid, **options)


def mnist_model() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """The old template's model and optimizer."""
    from model.model import MnistModel

    model = MnistModel()
    return model, torch.optim.Adam(model.parameters(), lr=0.001, amsgrad=True)


def by_tutorial(turns: Turns, config: dict[str, Any]) -> None:
    """The loop of pytorch.org."""
    (train_loader, valid_loader), (model, optimizer) = mnist_loaders(config), mnist_model()
    while True:
        turns.begin()
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = F.nll_loss(model(images), labels)
            loss.backward()
            optimizer.step()
        model.eval()
        right, losses = 0, 0.0
        with torch.no_grad():
            for images, labels in valid_loader:
                output = model(images)
                losses += F.nll_loss(output, labels).item()
                right += (output.argmax(1) == labels).sum().item()
        turns.end(right / len(valid_loader.dataset))


def by_accelerate(turns: Turns, config: dict[str, Any]) -> None:
    """Hugging Face Accelerate, with its loop."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    (train_loader, valid_loader), (model, optimizer) = mnist_loaders(config), mnist_model()
    n_valid = len(valid_loader.dataset)
    model, optimizer, train_loader, valid_loader = accelerator.prepare(model, optimizer, train_loader, valid_loader)
    while True:
        turns.begin()
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            accelerator.backward(F.nll_loss(model(images), labels))
            optimizer.step()
        model.eval()
        right, losses = 0, 0.0
        with torch.no_grad():
            for images, labels in valid_loader:
                output, labels = accelerator.gather_for_metrics((model(images), labels))
                losses += F.nll_loss(output, labels).item()
                right += (output.argmax(1) == labels).sum().item()
        turns.end(right / n_valid)


def by_ignite(turns: Turns, config: dict[str, Any]) -> None:
    """PyTorch Ignite: supervised trainer and evaluator."""
    from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
    from ignite.metrics import Accuracy, Loss

    (train_loader, valid_loader), (model, optimizer) = mnist_loaders(config), mnist_model()
    trainer = create_supervised_trainer(model, optimizer, F.nll_loss)
    metrics = {"accuracy": Accuracy(), "loss": Loss(F.nll_loss)}
    evaluator = create_supervised_evaluator(model, metrics=metrics)
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda _: turns.begin())

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(_: Any) -> None:
        turns.end(evaluator.run(valid_loader).metrics["accuracy"])

    trainer.run(train_loader, max_epochs=1000)


def by_lightning(turns: Turns, config: dict[str, Any]) -> None:
    """PyTorch Lightning, with its defaults: CSV log, checkpoints, progress bar off."""
    import tempfile

    import lightning

    class Lit(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.optimizer = mnist_model()
            self.accuracy = 0.0

        def configure_optimizers(self) -> Any:
            return self.optimizer

        def training_step(self, batch: Any) -> Any:
            loss = F.nll_loss(self.model(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def validation_step(self, batch: Any) -> None:
            output = self.model(batch[0])
            self.log("val_loss", F.nll_loss(output, batch[1]))
            self.log("val_accuracy", (output.argmax(1) == batch[1]).float().mean())

        def on_validation_epoch_end(self) -> None:
            self.accuracy = float(self.trainer.callback_metrics["val_accuracy"])

        def on_train_epoch_start(self) -> None:
            turns.next(lambda: self.accuracy)

    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1000,
            default_root_dir=folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(Lit(), *mnist_loaders(config))


def by_keras(turns: Turns, config: dict[str, Any]) -> None:
    """Keras on torch: `fit` over arrays in memory, the same layers."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    layers = keras.layers
    keras.config.set_image_data_format("channels_first")
    model = keras.Sequential(
        [
            keras.Input((1, 28, 28)),
            layers.Conv2D(10, 5),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Conv2D(20, 5),
            layers.SpatialDropout2D(0.5),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(50, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001, amsgrad=True), loss, metrics=["accuracy"])

    from data_loader.data_loaders import MnistDataLoader

    loader = MnistDataLoader(**config["data_loader"]["args"])
    images = torch.cat([loader.transform(part) for part in loader.tensors[0].split(1000)]).numpy()
    labels = loader.tensors[1].numpy()
    train, valid = loader.sampler.indices, loader.valid_sampler

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            turns.begin()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            turns.end(logs["val_accuracy"])

    parts = {"validation_data": (images[valid], labels[valid]), "batch_size": loader.batch_size}
    model.fit(images[train], labels[train], epochs=1000, verbose=0, callbacks=[Turn()], **parts)


def by_old_template(turns: Turns, config: dict[str, Any]) -> None:
    """victoresque/pytorch-template, from the folder of a checkout; it wants pandas below 3."""
    import logging
    import tempfile

    os.chdir(config["folder"])
    sys.path[:] = [
        config["folder"],
        *(place for place in sys.path if Path(place).resolve() not in (ROOT, ROOT / "benchmarks")),
    ]
    for name in list(sys.modules):  # its own have the same names
        if getattr(sys.modules[name], "__file__", None) and name.split(".")[0] in OWN:
            del sys.modules[name]
    template = json.loads(Path("config.json").read_text())
    template["n_gpu"] = 0
    template["data_loader"]["args"]["data_dir"] = config["data_loader"]["args"]["data_dir"]
    with tempfile.TemporaryDirectory() as folder:
        template["trainer"] |= {"save_dir": folder, "tensorboard": True, "verbosity": 0}
        import data_loader.data_loaders as module_data
        import model.loss as module_loss
        import model.metric as module_metric
        import model.model as module_arch
        from parse_config import ConfigParser
        from trainer import Trainer

        parser = ConfigParser(template)
        loader = parser.init_obj("data_loader", module_data)
        model = parser.init_obj("arch", module_arch)
        optimizer = parser.init_obj("optimizer", torch.optim, model.parameters())
        trainer = Trainer(
            model,
            getattr(module_loss, parser["loss"]),
            [getattr(module_metric, name) for name in parser["metrics"]],
            optimizer,
            config=parser,
            device=torch.device("cpu"),
            data_loader=loader,
            valid_data_loader=loader.split_validation(),
            lr_scheduler=parser.init_obj("lr_scheduler", torch.optim.lr_scheduler, optimizer),
        )
        logging.disable()
        epoch = 0
        while True:
            epoch += 1
            turns.begin()
            log = trainer._train_epoch(epoch)
            trainer._save_checkpoint(epoch)
            turns.end(log["val_accuracy"])


def main() -> None:
    way, job = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(job.pop("threads"))
    torch.manual_seed(0)
    offer()
    with suppress(KeyboardInterrupt):
        globals()[f"by_{way}"](Turns(), job["config"])


if __name__ == "__main__":
    main()
