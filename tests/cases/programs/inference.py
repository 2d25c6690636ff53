import os
import sys
from argparse import ArgumentParser

import torch
import torch.distributed as dist


class Model(torch.nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, width)
        self.head = torch.nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.embed(tokens))[:, -1].float()


@torch.inference_mode()
def complete(model, prompts, length):
    longest = max(len(p) for p in prompts)
    tokens = torch.full((len(prompts), longest + length), -1, dtype=torch.long, device="cuda")
    for i, prompt in enumerate(prompts):
        tokens[i, :len(prompt)] = torch.tensor(prompt, dtype=torch.long, device="cuda")
    ended = torch.tensor([False] * len(prompts), device="cuda")
    for at in range(longest, longest + length):
        tokens[:, at] = torch.where(ended, 0, model(tokens[:, :at].clamp(min=0)).argmax(-1))
        ended |= tokens[:, at] == 0
    return tokens.tolist()


def main(length):
    world_size = int(os.getenv("WORLD_SIZE", "1"))
    local_rank = int(os.getenv("LOCAL_RANK", "0"))
    dist.init_process_group("nccl")
    torch.cuda.set_device(local_rank)
    torch.set_default_dtype(torch.bfloat16)
    torch.manual_seed(7)
    with torch.device("cuda"):
        model = Model(16, 8)
    print(world_size, complete(model, [[3, 4, 5], [6, 7]], length))
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("--length", type=int, default=4)
    main(parser.parse_args().length)
