import torch


def my_accuracy(output, target):
    with torch.no_grad():
        correct = torch.sum(torch.argmax(output, dim=1) == target).item()
    return correct / len(target)


def top_k_accuracy(output, target, k=2):
    with torch.no_grad():
        best = torch.topk(output, k, dim=1)[1]
        correct = sum(torch.sum(best[:, i] == target).item() for i in range(k))
    return correct / len(target)
