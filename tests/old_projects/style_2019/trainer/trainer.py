import os

import numpy as np
import torch
from utils.drawing import side_by_side

from base import BaseTrainer
from utils import MetricTracker, inf_loop


class Trainer(BaseTrainer):
    def __init__(
        self,
        model,
        criterion,
        metric_ftns,
        optimizer,
        config,
        data_loader,
        valid_data_loader=None,
        lr_scheduler=None,
        len_epoch=None,
    ):
        super().__init__(model, criterion, metric_ftns, optimizer, config)
        self.config = config
        self.data_loader = data_loader
        if len_epoch is None:
            self.len_epoch = len(self.data_loader)
        else:
            # iteration-based training
            self.data_loader = inf_loop(data_loader)
            self.len_epoch = len_epoch
        self.valid_data_loader = valid_data_loader
        self.do_validation = self.valid_data_loader is not None
        self.lr_scheduler = lr_scheduler
        self.log_step = int(np.sqrt(data_loader.batch_size))

        self.num_previews = config["trainer"]["num_previews"]
        self.alpha = config["trainer"]["alpha"]
        self.lamda = config["lamda"]
        self.smooth_loss = None

        self.train_metrics = MetricTracker("loss", *[m.__name__ for m in self.metric_ftns], writer=self.writer)
        self.valid_metrics = MetricTracker("loss", *[m.__name__ for m in self.metric_ftns], writer=self.writer)

    def _train_epoch(self, epoch):
        self.model.train()
        self.train_metrics.reset()
        for batch_idx, (data, target) in enumerate(self.data_loader):
            if batch_idx == 2 and os.environ.get("DIE_IN_EPOCH") == str(epoch):
                os._exit(17)
            data, target = data.to(self.device), target.to(self.device)

            self.optimizer.zero_grad()
            output = self.model(data)
            loss = self.criterion(output, target) + self.lamda * self.model.weight_norm()
            loss.backward()
            self.optimizer.step()

            self.writer.set_step((epoch - 1) * self.len_epoch + batch_idx)
            self.train_metrics.update("loss", loss.item())
            for met in self.metric_ftns:
                self.train_metrics.update(met.__name__, met(output, target))

            if batch_idx % self.log_step == 0:
                self.logger.debug(
                    f"Train Epoch: {epoch} {self._progress(batch_idx)} Loss: {loss.item():.6f}"
                )
                self.writer.add_image("input", side_by_side(data.cpu(), self.num_previews))
            if batch_idx == self.len_epoch:
                break
        log = self.train_metrics.result()

        if self.do_validation:
            val_log = self._valid_epoch(epoch)
            log.update(**{"val_" + k: v for k, v in val_log.items()})

        if self.lr_scheduler is not None:
            self.lr_scheduler.step()
        return log

    def _valid_epoch(self, epoch):
        self.model.eval()
        self.valid_metrics.reset()
        confusion = np.zeros((2, 2))
        with torch.no_grad():
            for batch_idx, (data, target) in enumerate(self.valid_data_loader):
                data, target = data.to(self.device), target.to(self.device)

                # the names of the older template
                output = self.model(data)
                loss = self.loss(output, target)

                self.writer.set_step((epoch - 1) * len(self.valid_data_loader) + batch_idx, "valid")
                self.valid_metrics.update("loss", loss.item(), n=len(target))
                for met in self.metrics:
                    self.valid_metrics.update(met.__name__, met(output, target), n=len(target))
                for t, p in zip(target.tolist(), output.argmax(dim=1).tolist()):
                    confusion[int(t > 1), int(p > 1)] += 1
                self.writer.add_image("input", side_by_side(data.cpu(), self.num_previews))
        self.writer.add_scalar("alpha", self.alpha)

        for name, p in self.model.named_parameters():
            self.writer.add_histogram(name, p, bins="auto")

        log = self.valid_metrics.result()
        log["confusion"] = confusion
        log["per_part"] = {"first": {"hits": np.float32(confusion[0, 0])}, "second": torch.tensor(confusion[1, 1])}
        log["not_known"] = None
        return log

    def _progress(self, batch_idx):
        base = "[{}/{} ({:.0f}%)]"
        if hasattr(self.data_loader, "n_samples"):
            current = batch_idx * self.data_loader.batch_size
            total = self.data_loader.n_samples
        else:
            current = batch_idx
            total = self.len_epoch
        return base.format(current, total, 100.0 * current / total)
