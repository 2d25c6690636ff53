import os
import random

import numpy as np
import torch
import torch.backends.cudnn as cudnn

GPU = 0


def seed_everything(seed: int = 42, deterministic: bool = True):
    random.seed(seed)
    os.environ["PYTHONHASHSEED"] = str(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)  # if you are using multi-GPU.
    cudnn.deterministic = deterministic
    cudnn.benchmark = not deterministic
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def states():
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def restore(state):
    torch.set_rng_state(state["cpu"])
    torch.cuda.set_rng_state_all(state["cuda"])


os.environ["CUDA_VISIBLE_DEVICES"] = "0"
seed_everything(7)
torch.cuda.set_device(GPU)
state = states()
a = torch.rand(3).cuda()
restore(state)
b = torch.rand(3).cuda()
print("same", torch.equal(a, b))
