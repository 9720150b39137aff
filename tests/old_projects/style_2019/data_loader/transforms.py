import random

import numpy as np


class AddNoise:
    def __init__(self, std):
        self.std = std

    def __call__(self, image):
        return image + np.random.normal(0, self.std, image.shape).astype(np.float32)


class RandomSign:
    def __call__(self, image):
        return image if random.random() < 0.9 else 0.5 * image


class Chain:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image
