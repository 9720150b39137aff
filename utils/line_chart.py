"""A line chart as a PNG file, over a logarithmic axis: for a curve to look at, where no plotting library is needed."""

import math
from collections.abc import Sequence
from pathlib import Path

from utils.errors import UserError

SIZE = (960, 600)
LEFT, TOP, RIGHT, BOTTOM = 90, 60, 930, 530  # of the plot within the picture
GREY, BLACK, RED = (190, 190, 190), (20, 20, 20), (200, 30, 30)


def line_chart(
    path: Path, title: str, x: Sequence[float], faint: Sequence[float], bold: Sequence[float], mark: float | None
) -> None:
    """Draws two curves over log(x), a bold one and a faint one behind it, and writes the picture to `path`.

    What is no number is left out; what the faint one has above the bold one's highest value is cut off there.

    :param mark: a value of x to mark with an upright line
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(16)
    low, high = _range(faint, bold)
    first, last = math.floor(math.log10(min(x))), math.ceil(math.log10(max(x)))

    def across(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(value) - first) / max(1, last - first)

    def up(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (min(max(value, low), high) - low) / (high - low)

    draw.text(((LEFT + RIGHT) / 2, TOP / 2), title, BLACK, font, anchor="mm")
    for power in range(first, last + 1):
        draw.line([(across(10.0**power), TOP), (across(10.0**power), BOTTOM)], (235, 235, 235))
        draw.text((across(10.0**power), BOTTOM + 18), f"1e{power}", BLACK, font, anchor="mm")
    for value in (low + (high - low) * part / 5 for part in range(6)):
        draw.line([(LEFT, up(value)), (RIGHT, up(value))], (235, 235, 235))
        draw.text((LEFT - 8, up(value)), f"{value:.3g}", BLACK, font, anchor="rm")
    draw.rectangle([LEFT, TOP, RIGHT, BOTTOM], outline=BLACK)
    for values, colour, width in ((faint, GREY, 2), (bold, BLACK, 3)):
        points = [(across(one), up(value)) for one, value in zip(x, values) if math.isfinite(value)]
        draw.line(points, colour, width)
    if mark is not None:
        draw.line([(across(mark), TOP), (across(mark), BOTTOM)], RED, 2)
        draw.text((across(mark) - 8, TOP + 16), f"{mark:g}", RED, font, anchor="rm")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, "PNG")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None


def _range(faint: Sequence[float], bold: Sequence[float]) -> tuple[float, float]:
    """From the lowest value of both to the highest of the bold curve, apart by more than nothing."""
    shown = [value for value in bold if math.isfinite(value)]
    low = min((value for value in (*faint, *shown) if math.isfinite(value)), default=0.0)
    high = max(shown, default=1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)
