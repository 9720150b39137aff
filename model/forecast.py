"""Models that forecast a series."""

from torch import Tensor, nn

from base import BaseModel


class GRUForecast(BaseModel):
    """Reads the past in steps as long as the forecast, such as days: [B, past] -> [B, ahead].

    A gated recurrent unit (Cho et al. 2014) of what the past has above its own mean, to which the forecast is added:
    a series may rise beyond what training has seen. `past` is a multiple of `ahead`.

    :param ahead: the values of a forecast
    :param hidden: the features that the unit remembers
    """

    def __init__(self, ahead: int, hidden: int = 64) -> None:
        super().__init__()
        self.ahead = ahead
        self.unit = nn.GRU(ahead, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, ahead)

    def forward(self, x: Tensor) -> Tensor:
        level = x.mean(dim=1, keepdim=True)
        _, last = self.unit((x - level).unflatten(1, (-1, self.ahead)))
        return level + self.linear(last[0])
