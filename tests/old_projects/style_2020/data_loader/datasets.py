import numpy as np
import torch
from torch.utils.data import Dataset


class DigitsDataset(Dataset):
    def __init__(self, path, part, count, augment=True):
        arrays = np.load(path)
        self.images = arrays[part + "_images"][:count].astype(np.float32) / 16
        self.labels = arrays[part + "_labels"][:count]
        self.augment = augment

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index])[None]
        if self.augment:
            image = image + 0.1 * torch.randn_like(image) + np.random.uniform(-0.1, 0.1)
        return image.float(), int(self.labels[index]), f"digit{index}"


def collate_with_names(samples):
    images, labels, names = zip(*samples)
    return torch.stack(images), torch.tensor(labels), list(names)
