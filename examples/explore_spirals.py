# %% [markdown]
# # Two spirals
# Which of two spirals does a point lie on? A small network learns it in a minute.
# Runs top to bottom, or cell by cell in VS Code, Spyder or PyCharm.

# %%
import gc
import math
import time

import torch
import torch.nn as nn
from torch.cuda.amp import GradScaler, autocast

# %% what are we on?
# !nvidia-smi
device = torch.device("cuda:0")
print("torch", torch.__version__, "on", torch.cuda.get_device_name(device))
torch.backends.cudnn.deterministic = True
torch.manual_seed(0)
torch.cuda.manual_seed(0)


# %% data
def spirals(n, noise=0.05):
    t = torch.rand(n, device="cuda") * 3 * math.pi + 0.5
    side = torch.randint(0, 2, (n,)).cuda()
    angle = t + side * math.pi
    points = torch.stack([t * angle.cos(), t * angle.sin()], 1) / 10
    return points + noise * torch.randn(n, 2).to("cuda"), side


x_train, y_train = spirals(4000)
x_test, y_test = spirals(1000)
print(x_train.shape, x_train.is_cuda, x_train.type())

# %% model
model = nn.Sequential(
    nn.Linear(2, 64), nn.SiLU(),
    nn.Linear(64, 64), nn.SiLU(),
    nn.Linear(64, 2),
)
if torch.cuda.device_count() > 1:
    model = nn.DataParallel(model)
model = model.cuda()
n_params = sum(p.numel() for p in model.parameters())
print(f"{n_params} parameters, {torch.cuda.memory_allocated() / 1024:.0f} KB on the GPU")

# %% train
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
loss_fn = nn.CrossEntropyLoss().cuda()
scaler = GradScaler()
weights = torch.cuda.FloatTensor([0.5, 0.5])

torch.cuda.synchronize()
t0 = time.time()
for step in range(400):
    batch = torch.randint(0, len(x_train), (256,), device="cuda")
    optimizer.zero_grad()
    with autocast():
        loss = loss_fn(model(x_train[batch]), y_train[batch])
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.3f}")
torch.cuda.synchronize()
print(f"trained in {time.time() - t0:.1f} s")

# %% how good is it?
with torch.no_grad():
    logits = model(x_test)
    accuracy = (logits.argmax(1) == y_test).float().mean().item()
    balance = (torch.bincount(y_test, minlength=2) / len(y_test) * weights).sum().item()
print(f"accuracy {accuracy:.3f}, balance {balance:.2f}")

# %% where is it unsure? (a picture in text)
ticks = torch.linspace(-1, 1, 24, device=device)
grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).reshape(-1, 2)
with torch.no_grad(), torch.cuda.amp.autocast(dtype=torch.float16):
    side = model(grid).float().softmax(1)[:, 1].reshape(24, 24).cpu().numpy()
for row in side:
    print("".join(" .:*#"[min(int(p * 5), 4)] for p in row))

# %% free the GPU for the next experiment
peak = torch.cuda.max_memory_allocated()
del model, optimizer, logits, x_train, x_test
gc.collect()
torch.cuda.empty_cache()
torch.cuda.reset_peak_memory_stats()
print(f"peak {peak / 1024:.0f} KB, now {torch.cuda.memory_allocated(0) / 1024:.0f} KB")
