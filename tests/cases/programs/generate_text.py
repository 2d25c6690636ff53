import argparse

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(32, 8)
        self.head = nn.Linear(8, 32)
        self.register_buffer("mask", torch.zeros(32))

    def forward(self, ids):
        return self.head(self.embed(ids)) + self.mask


def load_model(seed):
    torch.manual_seed(seed)
    model = Model().half().float()
    model = model.eval().cuda()
    return model


@torch.no_grad()
def generate(model, prompt, max_new_tokens=8, temperature=1.0):
    input_ids = torch.tensor([prompt], dtype=torch.long).cuda()
    position = torch.arange(input_ids.shape[1], device="cuda")
    for _ in range(max_new_tokens):
        logits = model(input_ids)[:, -1] / temperature
        input_ids = torch.cat([input_ids, logits.argmax(-1, keepdim=True)], dim=1)
    assert len(position) == len(prompt)
    return input_ids[0].tolist()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=4)
    args = parser.parse_args()
    model = load_model(0)
    warm = torch.zeros(1, 1, dtype=torch.long, device="cuda")
    model(warm)
    torch.cuda.empty_cache()
    out = generate(model, [1, 2, 3], args.tokens)
    print(len(out), f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
