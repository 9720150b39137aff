import torch
import torch.nn as nn
import torch.nn.functional as F

from base import BaseModel


class BlobNet(BaseModel):
    def __init__(self, hidden=16, num_classes=4):
        super().__init__()
        self.num_classes = num_classes
        self.fc1 = nn.Linear(36, hidden)
        self.bn = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x):
        x = F.relu(self.bn(self.fc1(x.view(len(x), -1))))
        x = F.dropout(x, p=0.3, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)

    def weight_norm(self):
        return torch.sum(self.fc1.weight**2)
