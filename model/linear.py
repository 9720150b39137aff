"""The smallest model that learns: `LinearModel`."""

from torch import Tensor, nn

from base import BaseModel


class LinearModel(BaseModel):
    """Multinomial logistic regression: [B, ...] with `n_features` numbers a sample -> scores [B, num_classes]."""

    def __init__(self, n_features: int = 64, num_classes: int = 10) -> None:
        super().__init__()
        self.linear = nn.Linear(n_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))
