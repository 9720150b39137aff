"""Trains what a config names.

\b
python train.py -c config.json                          train
python train.py -r saved/models/Digits/RUN              go on with a run, exactly where it was
python train.py -c config.json -s trainer.epochs=5      with a value changed
torchrun --nproc-per-node 4 train.py -c config.json     on four GPUs
python train.py -c config.json --check                  build everything, try one batch, leave nothing behind
python train.py -c config.json --explain optimizer      where each value comes from
python train.py --schema > config.schema.json           for an editor that completes and checks configs
"""

from typing import Any

import click

import commands
from parse_config import ConfigParser, CustomArgs
from utils import dist

# options that set one value of the config; add your own
OPTIONS = [
    CustomArgs(["--lr", "--learning_rate"], type=float, target="optimizer;args;lr"),
    CustomArgs(["--bs", "--batch_size"], type=int, target="data_loader;args;batch_size"),
    CustomArgs(["--limit"], type=int, target="trainer;limit"),
    CustomArgs(["--overfit"], type=int, target="trainer;overfit"),
]


def modules() -> dict[str, Any]:
    """Where the names in each section of a config are looked up."""
    import torch

    import data_loader.data_loaders as module_data
    import model.loss as module_loss
    import model.metric as module_metric
    import model.model as module_arch
    import model.optimizer as module_optimizer
    import trainer as module_trainer

    torch_losses = (torch.nn.functional, torch.nn.modules.loss)
    return {
        "data_loader": module_data,
        "valid_data_loader": module_data,
        "test_data_loader": module_data,
        "arch": module_arch,
        "loss": (module_loss, *torch_losses),
        "metrics": (module_metric, *torch_losses),
        "optimizer": (module_optimizer, torch.optim),
        "lr_scheduler": torch.optim.lr_scheduler,
        "trainer": module_trainer,
    }


def build(config: ConfigParser) -> Any:
    """The trainer of what the config names, ready to train."""
    import torch

    from settings.sections import loss_parts
    from utils.clock import Clock
    from utils.determinism import fix_algorithms, fix_threads
    from utils.device import prepare_device
    from utils.fused import choose_form
    from utils.losses import one_loss
    from utils.memory import keep_freed_memory
    from utils.parameters import parameter_groups, prepare
    from utils.run_facts import run_facts
    from utils.schedule import make_scheduler
    from utils.seed import seed_generators

    module = modules()
    config.check(**module)
    Trainer = config.named("trainer", module["trainer"])
    options = Trainer.Options.of(config["trainer"])
    logger = config.get_logger("train", options.verbosity)

    # memory, device, algorithms and seed
    keep_freed_memory()
    fix_threads(options.threads)
    fix_algorithms(options.deterministic, options.compile, options.tf32)
    device, _ = prepare_device(config.get("n_gpu"), config.device)
    dist.start(device)
    seed_generators(config.get("seed", 0))

    # data
    data_loader = config.init_obj("data_loader", module["data_loader"])
    if "valid_data_loader" in config:
        valid_data_loader = config.init_obj("valid_data_loader", module["valid_data_loader"])
    else:
        valid_data_loader = data_loader.split_validation() if hasattr(data_loader, "split_validation") else None
    with config.at("data_loader"):
        clock = Clock.of_run(options, data_loader)
    read_batch = getattr(Trainer, "read_batch", None)
    config.provide(run_facts(data_loader, read_batch, clock))

    # model
    model = config.init_obj("arch", module["arch"]).to(device)
    with config.at("arch"):
        prepare(model, config["arch"], config.resume is None, data_loader, read_batch)
    logger.info(model)

    # loss and metrics
    criterion = one_loss(config.init_callables("loss", module["loss"]), loss_parts(config["loss"]), device)
    metrics = config.init_callables("metrics", module["metrics"])

    # optimizer, in its fastest form
    choose_form(config, config.named("optimizer", module["optimizer"]), model)
    with config.at("optimizer"):
        parameters = parameter_groups(model, config["optimizer"].get("groups", []))
    optimizer = config.init_obj("optimizer", module["optimizer"], parameters)

    # schedule
    lr_scheduler = make_scheduler(config, module["lr_scheduler"], optimizer, clock)

    # compiled, and over all processes
    if options.channels_last:
        model.to(memory_format=torch.channels_last)
    if options.compile:
        model.compile(dynamic=False)
    model = dist.wrap(model, device)

    loaders = {"data_loader": data_loader, "valid_data_loader": valid_data_loader}
    return Trainer(
        model, criterion, metrics, optimizer, config=config, device=device, lr_scheduler=lr_scheduler, **loaders
    )


def main(config: ConfigParser) -> dict[str, Any]:
    """Trains what the config names, and returns the log of the last epoch."""
    return build(config).train()


if __name__ == "__main__":
    command = click.Command("train", params=commands.options(modules), help=__doc__)
    config = ConfigParser.from_args(command, OPTIONS)
    run = commands.asked_for(config)
    run(config, modules, build) if run else main(config)
    dist.stop()
