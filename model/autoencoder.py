"""An autoencoder: images through a few numbers, and back."""

from torch import Tensor, nn

from base import BaseModel


class DigitsAutoencoder(BaseModel):
    """A convolutional autoencoder for the 8x8 digits: images [B, 1, 8, 8] -> their reconstructions [B, 1, 8, 8].

    :param code: how many numbers are left of an image's 64
    """

    def __init__(self, code: int = 8, channels: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * channels * 4 * 4, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 2 * channels * 4 * 4),
            nn.ReLU(),
            nn.Unflatten(1, (2 * channels, 4, 4)),
            nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))
