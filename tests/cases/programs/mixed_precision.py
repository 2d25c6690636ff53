import torch
from torch import nn
from torch.cuda import amp
from torch.cuda.amp import custom_bwd, custom_fwd


class Scale(torch.autograd.Function):
    @staticmethod
    @custom_fwd(cast_inputs=torch.float32)
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    @custom_bwd
    def backward(ctx, grad):
        return grad * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    @torch.cuda.amp.autocast()
    def forward(self, x):
        return Scale.apply(self.fc(x))


def validate(model, loader):
    model.eval()
    total = 0.0
    with torch.no_grad(), amp.autocast():
        for x, y in loader:
            x = x.cuda(non_blocking=True)
            y = y.cuda(non_blocking=True)
            total += nn.functional.mse_loss(model(x).float(), y).item()
    return total


def main():
    use_amp = True
    torch.manual_seed(0)
    model = Net().cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = amp.GradScaler(enabled=use_amp)
    loader = [(torch.ones(3, 4), torch.zeros(3, 2)) for _ in range(4)]
    before = validate(model, loader)
    for x, y in loader:
        x, y = x.cuda(), y.cuda()
        with amp.autocast(enabled=use_amp):
            loss = nn.functional.mse_loss(model(x).float(), y)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    print("better", validate(model, loader) < before)


if __name__ == "__main__":
    main()
