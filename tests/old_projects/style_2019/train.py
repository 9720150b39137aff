import argparse
import collections

import numpy as np
import torch

import data_loader.data_loaders as module_data
import data_loader.transforms as module_transform
import model.loss as module_loss
import model.metric as module_metric
import model.model as module_arch
from parse_config import ConfigParser
from trainer import Trainer

torch.manual_seed(123)
np.random.seed(123)


def main(config):
    logger = config.get_logger("train")
    logger.info("lamda is {}".format(config["lamda"]))

    # a list of {type, args} in a section of the project's own
    transforms = [getattr(module_transform, t["type"])(**t["args"]) for t in config["train_transform"]]

    # extra keyword arguments beside those of the config
    data_loader = config.init_obj("data_loader", module_data, transform=module_transform.Chain(transforms))
    valid_data_loader = data_loader.split_validation()
    logger.info(f"{data_loader.n_samples} training samples")

    model = config.init_obj("arch", module_arch)
    logger.info(model)

    criterion = getattr(module_loss, config["loss"])
    metrics = [getattr(module_metric, met) for met in config["metrics"]]

    # the model is on the CPU still: BaseTrainer is the one to move it
    trainable_params = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = config.init_obj("optimizer", torch.optim, trainable_params)
    lr_scheduler = config.init_obj("lr_scheduler", torch.optim.lr_scheduler, optimizer)

    trainer = Trainer(
        model,
        criterion,
        metrics,
        optimizer,
        config=config,
        data_loader=data_loader,
        valid_data_loader=valid_data_loader,
        lr_scheduler=lr_scheduler,
        len_epoch=config["trainer"].get("len_epoch"),
    )
    trainer.train()


if __name__ == "__main__":
    args = argparse.ArgumentParser(description="Blobs")
    args.add_argument("-c", "--config", default=None, type=str, help="config file path (default: None)")
    args.add_argument("-r", "--resume", default=None, type=str, help="path to latest checkpoint (default: None)")
    args.add_argument("-d", "--device", default=None, type=str, help="indices of GPUs to enable (default: all)")

    CustomArgs = collections.namedtuple("CustomArgs", "flags type target")
    options = [
        CustomArgs(["-lr", "--learning_rate"], type=float, target="optimizer;args;lr"),
        CustomArgs(["-s", "--batch_size"], type=int, target="data_loader;args;batch_size"),
        CustomArgs(["--len_epoch"], type=int, target="trainer;len_epoch"),
        CustomArgs(["--workers"], type=int, target="data_loader;args;num_workers"),
        CustomArgs(["--monitor"], type=str, target="trainer;monitor"),
        CustomArgs(["--epochs"], type=int, target="trainer;epochs"),
        CustomArgs(["--with_board"], type=bool, target="trainer;tensorboard"),
        CustomArgs(["--hint"], type=str, target="made;on;demand"),
    ]
    config = ConfigParser.from_args(args, options)
    main(config)
