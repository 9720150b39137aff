"""What goes on inside a model while it trains, for TensorBoard: activations, gradients, histograms of parameters."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from utils import dist
from utils.device import map_tensors
from utils.errors import ConfigError
from utils.patterns import matching

LARGEST = 1e19  # number in a histogram; TensorBoard's writer has no bins beyond 1e20


class Inspection:
    """Looks at the steps that it draws points of in TensorBoard; in all others it does nothing.

    At log points, with `trainer.watch`, of the output of each of its modules (the first tensor of several):

        watch/MODULE/mean, watch/MODULE/std     of the activations
        watch/MODULE/zeros                      the share of them that is zero
        watch/MODULE/gradient                   the norm of the gradient of the loss with respect to them

    each averaged over the module's calls in the step. At the end of an epoch, with `trainer.histograms`:

        parameters/NAME, gradients/NAME         as the optimizer found them in the last step

    :param writer: a TensorboardWriter
    :param options: those of the trainer; ConfigError where a pattern of `watch` matches no module
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        writer: Any,
        options: Any,
    ) -> None:
        self._model, self._optimizer, self._scaler, self._writer = dist.unwrap(model), optimizer, scaler, writer
        if options.watch and options.compile:
            raise ConfigError("a compiled model calls no hooks; leave out watch or compile")
        watched = matching(self._model.named_modules(), options.watch, "module")
        enabled = options.tensorboard and dist.is_main()
        self._watched = watched if enabled else {}
        self._histograms = options.histograms and enabled
        self._values: dict[str, list[Tensor]] = defaultdict(list)

    def of_step(self, step: int, log_step: int, epoch_end: int) -> AbstractContextManager[None]:
        """The context of the step after which the count of steps is `step`."""
        watched = self._watched if step % log_step == 0 else {}
        histograms = self._histograms and step == epoch_end
        return self._looking(step, watched, histograms) if watched or histograms else nullcontext()

    @contextmanager
    def _looking(self, step: int, watched: dict[str, torch.nn.Module], histograms: bool) -> Iterator[None]:
        with ExitStack() as hooks:
            for name, module in watched.items():
                hooks.enter_context(module.register_forward_hook(partial(self._see_output, name)))
            if histograms:
                hooks.enter_context(self._optimizer.register_step_pre_hook(partial(self._draw_histograms, step)))
            yield
        means = {name: torch.stack(values).mean() for name, values in self._values.items()}
        self._values.clear()
        if means:
            numbers = torch.stack(list(means.values())).tolist()  # where the device is waited for
            self._writer.add_row("watch", dict(zip(means, numbers)), step)

    def _see_output(self, name: str, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        tensors: list[Tensor] = []
        map_tensors(lambda tensor: tensors.append(tensor) or tensor, output)  # type: ignore[func-returns-value]
        if not tensors:
            return
        values = tensors[0].detach().float()
        std, mean = torch.std_mean(values, correction=0)
        self._values[f"{name}/mean"].append(mean)
        self._values[f"{name}/std"].append(std)
        self._values[f"{name}/zeros"].append((values == 0).float().mean())
        if tensors[0].requires_grad:
            # not a full backward hook, which forbids that the output is changed in place, as ReLU(inplace=True) does
            tensors[0].register_hook(partial(self._see_gradient, name))

    def _see_gradient(self, name: str, gradient: Tensor) -> None:
        norm = gradient.float().norm()
        self._values[f"{name}/gradient"].append(norm / self._scaler.scale(torch.ones_like(norm)))

    def _draw_histograms(self, step: int, *_: Any) -> None:
        for name, parameter in self._model.named_parameters():
            self._draw_histogram(f"parameters/{name}", parameter, step)
            if parameter.grad is not None:
                self._draw_histogram(f"gradients/{name}", parameter.grad.to_dense(), step)

    def _draw_histogram(self, tag: str, values: Tensor, step: int) -> None:
        values = values[values.isfinite()].float().clamp(-LARGEST, LARGEST)
        if len(values):
            self._writer.add_histogram(tag, values, step)
