import random

import torch
from torch.cuda.amp import GradScaler, autocast


def set_seed(seed):
    random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


class Trainer:
    def __init__(self, model, lr=0.1):
        self.model = model.cuda()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)
        self.scaler = GradScaler()

    def step(self, x, y):
        x, y = x.cuda(), y.cuda()
        with autocast():
            loss = torch.nn.functional.mse_loss(self.model(x), y)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


set_seed(0)
torch.cuda.reset_peak_memory_stats()
trainer = Trainer(torch.nn.Linear(2, 1))
losses = [trainer.step(torch.ones(4, 2), torch.zeros(4, 1)) for _ in range(3)]
print("falls", losses[-1] < losses[0], f"peak {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")
torch.cuda.empty_cache()
