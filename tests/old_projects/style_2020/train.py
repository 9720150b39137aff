import argparse
import collections

import data_loader.datasets as module_data
import numpy as np
import torch

import model as module_arch
from model.loss import build_loss
from parse_config import ConfigParser
from trainer import Trainer
from utils import prepare_device
from utils.util import *


def main(config):
    logger = config.get_logger("train")
    torch.manual_seed(config["SEED"])
    np.random.seed(config["SEED"])

    # a plain DataLoader of torch's, with a collate function handed in
    dataset = config.init_obj("train_dataset", module_data)
    data_loader = config.init_obj(
        "train_loader", torch.utils.data.dataloader, dataset, collate_fn=module_data.collate_with_names
    )
    # any iterable with a length
    held_out = module_data.DigitsDataset("data/digits.npz", "test", 96, augment=False)
    valid_data_loader = [
        module_data.collate_with_names([held_out[i] for i in range(j, j + 32)]) for j in range(0, 96, 32)
    ]

    model = config.init_obj("arch", module_arch)
    logger.info(model)
    logger.info(f"{count_parameters(model)} parameters")

    device, device_ids = prepare_device(config["n_gpu"])
    model = model.to(device)
    if len(device_ids) > 1:
        model = torch.nn.DataParallel(model, device_ids=device_ids)

    criterion = build_loss(config["loss"]["name"], config["loss_args"]).to(device)
    metrics = [getattr(module_arch, met) for met in config.config.get("metrics", ["accuracy", "n_right"])]

    trainable_params = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = config.init_obj("optimizer", torch.optim, trainable_params)

    lr_scheduler = None
    if "type" in config._config["lr_scheduler"]:
        if config["lr_scheduler"]["type"] == "CustomLR":
            a = config["lr_scheduler"]["args"]

            def lr_lambda(epoch):
                if epoch < a["warmup_epoch"]:
                    return 0.5
                return a["gamma"] if epoch >= a["step1"] else 1

            lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda)
        else:
            lr_scheduler = config.init_obj("lr_scheduler", torch.optim.lr_scheduler, optimizer)

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
    log = trainer.train()
    ensure_dir("results")
    write_json({"epochs": trainer.epochs, "loss": log["loss"]}, "results/last.json")


if __name__ == "__main__":
    args = argparse.ArgumentParser(description="Digits")
    args.add_argument("-c", "--config", default=None, type=str)
    args.add_argument("-r", "--resume", default=None, type=str)
    args.add_argument("-d", "--device", default=None, type=str)

    CustomArgs = collections.namedtuple("CustomArgs", "flags type target")
    options = [
        CustomArgs(["--lr", "--learning_rate"], type=float, target="optimizer;args;lr"),
        CustomArgs(["--bs", "--batch_size"], type=int, target="train_loader;args;batch_size"),
    ]
    main(ConfigParser.from_args(args, options))
