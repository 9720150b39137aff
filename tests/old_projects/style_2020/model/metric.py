import torch


def accuracy(output, target):
    return (torch.argmax(output, dim=1) == target).float().mean()


def n_right(output, target):
    return int((torch.argmax(output, dim=1) == target).sum())
