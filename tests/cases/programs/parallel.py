import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP


def setup():
    local_rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", device_id=device)
    return local_rank


def main():
    local_rank = setup()
    model = torch.nn.Linear(2, 1).cuda(local_rank)
    model = DDP(model, device_ids=[local_rank], output_device=local_rank)
    loss = model(torch.ones(3, 2).cuda(local_rank)).sum()
    loss.backward()
    print("ranks", dist.get_world_size())
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
