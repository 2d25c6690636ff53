#!/usr/bin/env python
"""Draw images with DDIM from a small noise-prediction UNet.

    python sample_diffusion.py --checkpoint unet.pt --steps 50 --batch 16 --fp16 --out samples.ppm

Without a checkpoint the weights are random: good for measuring speed, not for looking at.
"""
import argparse
import math
import time
from contextlib import nullcontext

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = True


def timestep_embedding(timesteps, dim):
    half = dim // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device="cuda") / half)
    angles = timesteps[:, None].float() * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, inputs, outputs, time_dim):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time_dim, outputs)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(emb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + self.skip(x)


class Attention(nn.Module):
    def __init__(self, channels, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).unbind(1)
        q, k, v = (t.transpose(-1, -2) for t in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj(out.transpose(-1, -2).reshape(b, c, h, w))


class UNet(nn.Module):
    def __init__(self, channels=32):
        super().__init__()
        self.channels = channels
        dim = 4 * channels
        self.time_mlp = nn.Sequential(nn.Linear(channels, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.conv_in = nn.Conv2d(3, channels, 3, padding=1)
        self.down1 = ResBlock(channels, channels, dim)
        self.down2 = ResBlock(channels, 2 * channels, dim)
        self.mid = ResBlock(2 * channels, 2 * channels, dim)
        self.attention = Attention(2 * channels)
        self.up2 = ResBlock(4 * channels, channels, dim)
        self.up1 = ResBlock(2 * channels, channels, dim)
        self.conv_out = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x, t):
        emb = self.time_mlp(timestep_embedding(t, self.channels))
        h1 = self.down1(self.conv_in(x), emb)
        h2 = self.down2(F.avg_pool2d(h1, 2), emb)
        h = self.attention(self.mid(F.avg_pool2d(h2, 2), emb))
        h = self.up2(torch.cat([F.interpolate(h, scale_factor=2.0), h2], 1), emb)
        h = self.up1(torch.cat([F.interpolate(h, scale_factor=2.0), h1], 1), emb)
        return self.conv_out(F.silu(h))


class DDIMSampler:
    def __init__(self, model, train_steps=1000, device="cuda"):
        self.model = model
        self.device = device
        self.train_steps = train_steps
        betas = torch.linspace(1e-4, 0.02, train_steps, dtype=torch.float64)
        self.alphas_cumprod = self.register(torch.cumprod(1.0 - betas, 0).float())

    def register(self, value):
        if value.device != torch.device("cuda"):
            value = value.to(torch.device("cuda"))
        return value

    @torch.inference_mode()
    def sample(self, shape, steps=50, eta=0.0, generator=None):
        x = torch.randn(shape, generator=generator, device=self.device)
        times = torch.linspace(self.train_steps - 1, 0, steps, device=self.device).long()
        for i, t in enumerate(times):
            a_t = self.alphas_cumprod[t]
            a_prev = self.alphas_cumprod[times[i + 1]] if i + 1 < steps else torch.ones([]).cuda()
            eps = self.model(x, t.expand(shape[0])).float()
            x0 = ((x - (1 - a_t).sqrt() * eps) / a_t.sqrt()).clamp(-1, 1)
            sigma = eta * ((1 - a_prev) / (1 - a_t) * (1 - a_t / a_prev)).sqrt()
            x = a_prev.sqrt() * x0 + (1 - a_prev - sigma**2).clamp(min=0).sqrt() * eps
            if eta > 0:
                x = x + sigma * torch.randn(shape, generator=generator, device="cuda")
        return x


class Timer:
    """Milliseconds between start and stop, on the GPU's own clock where there is one."""

    def start(self):
        if torch.cuda.is_available():
            self.begin = torch.cuda.Event(enable_timing=True)
            self.end = torch.cuda.Event(enable_timing=True)
            self.begin.record()
        else:
            self.begin = time.perf_counter()

    def stop(self):
        if torch.cuda.is_available():
            self.end.record()
            torch.cuda.synchronize()
            return self.begin.elapsed_time(self.end)
        return (time.perf_counter() - self.begin) * 1000


def save_grid(images, path):
    """Writes images side by side as a PPM file."""
    row = torch.cat(list(images), dim=-1)
    pixels = ((row.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu()
    with open(path, "wb") as file:
        file.write(b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]))
        file.write(bytes(pixels.flatten().tolist()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--eta", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--fp16", action="store_true")
    parser.add_argument("--out", default="samples.ppm")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.cuda.manual_seed(args.seed)
    model = UNet().cuda().eval()
    if args.checkpoint:
        model.load_state_dict(torch.load(args.checkpoint, map_location="cuda"))
    print(f"sampling on {torch.cuda.get_device_name(0)}")

    sampler = DDIMSampler(model)
    generator = torch.Generator(device="cuda").manual_seed(args.seed)
    context = torch.autocast("cuda", dtype=torch.float16) if args.fp16 else nullcontext()
    timer = Timer()
    timer.start()
    with context:
        images = sampler.sample((args.batch, 3, args.size, args.size), args.steps, args.eta, generator)
    elapsed = timer.stop()
    print(f"{args.batch} images in {elapsed:.0f} ms, {elapsed / args.steps:.1f} ms per step, "
          f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")
    save_grid(images, args.out)
    print(f"mean {images.mean().item():.4f}, std {images.std().item():.4f}, saved to {args.out}")


if __name__ == "__main__":
    main()
