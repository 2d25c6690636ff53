from typing import Optional

import torch
from torch import Tensor


def rotary(dim: int, length: int, device: str = "cuda:0") -> Tensor:
    return torch.outer(torch.arange(length, device=device).float(), torch.ones(dim, device=device))


def mask(length: int, device: torch.device = torch.device("cuda")) -> Tensor:
    return torch.ones(length, length, device=device).tril()


class Attention(torch.nn.Module):
    def __init__(self, dim: int, dtype: Optional[torch.dtype] = None, device="cuda"):
        super().__init__()
        self.device = device
        self.proj = torch.nn.Linear(dim, dim, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        freqs = rotary(x.shape[-1], x.shape[0])
        return self.proj(x * freqs) @ self.proj(x).T + mask(x.shape[0])


def main() -> None:
    model = Attention(4)
    x = torch.randn(3, 4).to("cuda:0")
    print("shape", tuple(model(x).shape))


if __name__ == "__main__":
    main()
