"""Train a small image classifier on several GPUs with DistributedDataParallel and mixed precision.

    torchrun --standalone --nproc_per_node=8 train_ddp.py --epochs 20 --batch-size 256 --amp
"""
import argparse
import os
import random
import time

import numpy as np
import torch
import torch.backends.cudnn as cudnn
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler


class BrightQuadrant(Dataset):
    """Noisy images in which one of four quadrants is brighter; the label says which."""

    def __init__(self, length, size=32, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 4, (length,), generator=generator)
        self.images = torch.randn(length, 3, size, size, generator=generator)
        half = size // 2
        for image, label in zip(self.images, self.labels.tolist()):
            row, column = divmod(label, 2)
            image[:, row * half:(row + 1) * half, column * half:(column + 1) * half] += 0.5

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.skip(x))


class SmallResNet(nn.Module):
    def __init__(self, width=16, classes=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1)
        self.blocks = nn.Sequential(Block(width, width, 2), Block(width, 2 * width, 2))
        # 4x4 positions are kept: where the light is matters.
        self.head = nn.Linear(2 * width * 16, classes)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 4)
        return self.head(x.flatten(1))


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=256, help="per GPU")
    parser.add_argument("--samples", type=int, default=50000)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--dist-backend", default="nccl")
    parser.add_argument("--checkpoint", default="checkpoint.pt")
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def setup(args):
    local_rank = int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(local_rank)
    dist.init_process_group(backend=args.dist_backend, init_method="env://")
    dist.barrier()
    return local_rank


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


def train_one_epoch(model, loader, criterion, optimizer, scaler, local_rank, args):
    model.train()
    total = torch.zeros(1, device=f"cuda:{local_rank}")
    for images, labels in loader:
        images = images.cuda(local_rank, non_blocking=True)
        labels = labels.cuda(local_rank, non_blocking=True)
        with torch.cuda.amp.autocast(enabled=args.amp):
            loss = criterion(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        total += loss.detach()
    # Wait for the GPU, or the time below is that of queueing.
    torch.cuda.synchronize()
    return total / len(loader)


@torch.no_grad()
def evaluate(model, loader, local_rank):
    model.eval()
    correct = torch.zeros(2).cuda(local_rank)
    for images, labels in loader:
        images, labels = images.cuda(local_rank), labels.cuda(local_rank)
        correct[0] += (model(images).argmax(1) == labels).sum()
        correct[1] += len(labels)
    dist.all_reduce(correct)
    return (correct[0] / correct[1]).item()


def main():
    args = parse_args()
    local_rank = setup(args)
    seed_everything(args.seed)
    cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True

    train_set = BrightQuadrant(args.samples, seed=1)
    test_set = BrightQuadrant(args.samples // 4, seed=2)
    train_sampler = DistributedSampler(train_set)
    train_loader = DataLoader(train_set, args.batch_size, sampler=train_sampler, drop_last=True,
                              num_workers=args.workers, pin_memory=True)
    test_loader = DataLoader(test_set, args.batch_size, sampler=DistributedSampler(test_set, shuffle=False),
                             num_workers=args.workers, pin_memory=True)

    model = SmallResNet().cuda(local_rank)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model) if args.dist_backend == "nccl" else model
    model = DDP(model, device_ids=[local_rank], output_device=local_rank)
    criterion = nn.CrossEntropyLoss().cuda(local_rank)
    optimizer = torch.optim.SGD(model.parameters(), args.lr, momentum=0.9)
    scaler = torch.cuda.amp.GradScaler(enabled=args.amp)

    first = 0
    if args.resume:
        state = torch.load(args.checkpoint, map_location=f"cuda:{local_rank}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1

    for epoch in range(first, args.epochs):
        train_sampler.set_epoch(epoch)
        torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        loss = train_one_epoch(model, train_loader, criterion, optimizer, scaler, local_rank, args)
        dist.all_reduce(loss)
        accuracy = evaluate(model, test_loader, local_rank)
        if dist.get_rank() == 0:
            print(f"epoch {epoch}: loss {loss.item() / dist.get_world_size():.3f}, accuracy {accuracy:.3f}, "
                  f"{time.perf_counter() - begun:.1f} s, {torch.cuda.max_memory_allocated() / 2**20:.0f} MB",
                  flush=True)
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch},
                       args.checkpoint)
        dist.barrier()
    torch.cuda.empty_cache()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
