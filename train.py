"""Trains what a config names.

\b
python train.py -c config.json                          train
python train.py -r saved/models/Digits/RUN              go on with a run, exactly where it was
python train.py -c config.json -s trainer.epochs=5      with a value changed
torchrun --nproc-per-node 4 train.py -c config.json     on four GPUs
"""

import click

from parse_config import ConfigParser, CustomArgs
from utils import dist

# options that set one value of the config; add your own
OPTIONS = [
    CustomArgs(["--lr", "--learning_rate"], type=float, target="optimizer;args;lr"),
    CustomArgs(["--bs", "--batch_size"], type=int, target="data_loader;args;batch_size"),
]


def main(config: ConfigParser) -> dict:
    """Builds what the config names, trains it, and returns the log of the last epoch."""
    import torch

    import data_loader.data_loaders as module_data
    import model.loss as module_loss
    import model.metric as module_metric
    import model.model as module_arch
    import trainer as module_trainer
    from trainer.trainer import make_clock
    from utils.determinism import fix_algorithms, fix_threads
    from utils.device import prepare_device, to_device
    from utils.schedule import make_scheduler
    from utils.seed import seed_generators

    module_losses = (module_loss, torch.nn.functional, torch.nn)
    config.check(
        data_loader=module_data,
        valid_data_loader=module_data,
        test_data_loader=module_data,
        arch=module_arch,
        loss=module_losses,
        metrics=(module_metric, *module_losses[1:]),
        optimizer=torch.optim,
        lr_scheduler=torch.optim.lr_scheduler,
        trainer=module_trainer,
    )
    Trainer = config.trainer_class(module_trainer)
    options = Trainer.Options.of(config["trainer"])
    logger = config.get_logger("train", options.verbosity)

    # device, algorithms and seed
    fix_threads(options.threads)
    fix_algorithms(options.deterministic)
    device, _ = prepare_device(config.get("n_gpu"), config.device)
    dist.start(device)
    seed_generators(config.get("seed", 0))

    # data
    data_loader = config.init_obj("data_loader", module_data)
    if "valid_data_loader" in config:
        valid_data_loader = config.init_obj("valid_data_loader", module_data)
    else:
        valid_data_loader = data_loader.split_validation() if hasattr(data_loader, "split_validation") else None

    # model
    model = config.init_obj("arch", module_arch).to(device)
    logger.info(model)

    # loss and metrics
    criterion = to_device(config.init_callables("loss", module_losses)[0], device)
    metrics = config.init_callables("metrics", (module_metric, *module_losses[1:])) if "metrics" in config else []

    # optimizer
    trainable_params = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = config.init_obj("optimizer", torch.optim, trainable_params)

    # schedule
    lr_scheduler = make_scheduler(config, torch.optim.lr_scheduler, optimizer, make_clock(options, data_loader))

    # compiled, and over all processes
    if options.channels_last:
        model.to(memory_format=torch.channels_last)
    if options.compile:
        model.compile(dynamic=False)
    model = dist.wrap(model, device)

    trainer = Trainer(
        model,
        criterion,
        metrics,
        optimizer,
        config=config,
        device=device,
        data_loader=data_loader,
        valid_data_loader=valid_data_loader,
        lr_scheduler=lr_scheduler,
    )
    return trainer.train()


if __name__ == "__main__":
    main(ConfigParser.from_args(click.Command("train", help=__doc__), OPTIONS))
    dist.stop()
