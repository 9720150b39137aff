import argparse

import data_loader.datasets as module_data
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

import model as module_arch
from model.loss import build_loss
from parse_config import ConfigParser
from utils.util import *


def main(config):
    logger = config.get_logger("test")
    data_loader = DataLoader(
        module_data.DigitsDataset("data/digits.npz", "test", 200, augment=False),
        batch_size=64,
        shuffle=False,
        collate_fn=module_data.collate_with_names,
    )

    logger.info(f"Loading checkpoint: {config.resume} ...")
    checkpoint = torch.load(config.resume)
    arch = checkpoint["config"]["arch"]
    model = getattr(module_arch, arch["type"])(**arch["args"])
    assert type(model).__name__ == checkpoint["arch"]
    state_dict = checkpoint["state_dict"]
    if config["n_gpu"] > 1:
        model = torch.nn.DataParallel(model)
    model.load_state_dict(state_dict)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device)
    model.eval()
    loss_fn = build_loss(config["loss"]["name"], config["loss_args"])

    total_loss = 0.0
    total_right = 0
    with torch.no_grad():
        for data, target, _ in tqdm(data_loader):
            data, target = data.to(device), target.to(device)
            output = model(data)
            total_loss += loss_fn(output, target).item() * data.shape[0]
            total_right += module_arch.accuracy(output, target).item() * data.shape[0]

    n_samples = len(data_loader.sampler)
    log = {"loss": total_loss / n_samples, "accuracy": total_right / n_samples, "epoch": checkpoint["epoch"]}
    logger.info(log)
    write_json(log, "test_result.json")


if __name__ == "__main__":
    args = argparse.ArgumentParser(description="Digits")
    args.add_argument("-c", "--config", default=None, type=str)
    args.add_argument("-r", "--resume", default=None, type=str)
    args.add_argument("-d", "--device", default=None, type=str)
    main(ConfigParser.from_args(args))
