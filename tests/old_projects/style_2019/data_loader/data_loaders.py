import numpy as np
import torch
from torch.utils.data import Dataset

from base import BaseDataLoader


class BlobDataset(Dataset):
    """Noisy pictures of a bright corner; the class is the corner."""

    def __init__(self, count, transform=None):
        rng = np.random.RandomState(7)
        self.images = rng.normal(0, 1, (count, 1, 6, 6)).astype(np.float32)
        self.labels = rng.randint(0, 4, count)
        for image, label in zip(self.images, self.labels):
            top, left = 3 * (label // 2), 3 * (label % 2)
            image[0, top : top + 3, left : left + 3] += 1
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if self.transform is not None:
            image = self.transform(image)
        return torch.from_numpy(image), int(self.labels[index])


class BlobDataLoader(BaseDataLoader):
    def __init__(
        self, data_dir, batch_size, shuffle=True, validation_split=0.0, num_workers=1, training=True, transform=None
    ):
        self.data_dir = data_dir
        self.training = training
        self.dataset = BlobDataset(200 if training else 80, transform if training else None)
        super().__init__(self.dataset, batch_size, shuffle, validation_split, num_workers)
