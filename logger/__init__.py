"""Where a run's words and numbers go: console, info.log, metrics.jsonl, TensorBoard."""

from logger.logger import get_logger, setup_logging
from logger.visualization import TensorboardWriter

__all__ = ["TensorboardWriter", "get_logger", "setup_logging"]
