"""What programs do with a device, each as a function; run under a rehearsal it prints what failed, as JSON."""

from __future__ import annotations

import copy
import importlib
import io
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

CHECKS: dict[str, Callable[[], None]] = {}
NPU = torch.device("npu", 0)


def check(function: Callable[[], None]) -> Callable[[], None]:
    """A fact that has to hold."""
    CHECKS[function.__name__] = function
    return function


def same(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    """Equal numbers, whatever the devices."""
    torch.testing.assert_close(a.detach().cpu(), b.detach().cpu(), rtol=tolerance, atol=tolerance)


def raises(
    kind: type[BaseException] | tuple[type[BaseException], ...], text: str, call: Callable[[], Any]
) -> None:
    """The call raises that, with that in its text."""
    raised: BaseException | None = None
    try:
        call()
    except kind as error:
        raised = error
    assert raised is not None and text in str(raised), raised


def twins(make: Callable[[], nn.Module]) -> tuple[nn.Module, nn.Module]:
    """A module on the CPU, and the same on the device."""
    torch.manual_seed(0)
    module = make()
    return module, copy.deepcopy(module).to(NPU)


def trained_alike(make: Callable[[], nn.Module], *inputs: torch.Tensor, tolerance: float = 1e-4) -> None:
    """Output and gradients agree."""
    here, there = twins(make)
    outputs = []
    for module, device in ((here, "cpu"), (there, NPU)):
        out = module(*[x.to(device) for x in inputs])
        out = out[0] if isinstance(out, tuple) else out
        out.float().square().mean().backward()
        outputs.append(out)
    assert outputs[1].device == NPU
    same(outputs[0], outputs[1], tolerance)
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        assert other.grad is not None and other.grad.device == NPU
        same(one.grad, other.grad, tolerance)


@check
def the_accelerator_is_there() -> None:
    assert torch.accelerator.is_available()
    assert torch.accelerator.current_accelerator() == torch.device("npu")
    assert torch.accelerator.device_count() == torch.npu.device_count() == 2
    assert torch.get_device_module("npu") is torch.npu
    assert not torch.cuda.is_available()


@check
def the_current_device() -> None:
    assert torch.ones(2, device="npu").device == NPU
    with torch.accelerator.device_index(1):
        assert torch.accelerator.current_device_index() == 1
        assert torch.ones(2, device="npu").device == torch.device("npu:1")
    with torch.npu.device(1):
        assert torch.npu.current_device() == 1
    assert torch.accelerator.current_device_index() == 0
    torch.accelerator.set_device_index(1)
    torch.accelerator.set_device_index(torch.device("npu:0"))
    assert torch.npu.current_device() == 0
    raises(RuntimeError, "invalid device ordinal", lambda: torch.accelerator.set_device_index(2))
    raises(
        ValueError,
        "doesn't match the current accelerator",
        lambda: torch.accelerator.set_device_index("xpu:0"),
    )


@check
def tensors() -> None:
    x = torch.arange(12, device=NPU).reshape(3, 4)
    assert x.is_npu and x.npu().device == NPU and x.to("npu:1").device.index == 1 and x.to(0).device == NPU
    assert x[1, 2].item() == 6 and x[x > 8].tolist() == [9, 10, 11] and x[:, ::2].sum().item() == 30
    assert "device='npu:0'" in repr(x)
    x[0] = 7
    assert x[0].tolist() == [7, 7, 7, 7]
    assert torch.cat([x, x]).shape == (6, 4) and len(x.split(2)) == 2
    for dtype in (torch.bool, torch.bfloat16, torch.float16, torch.complex64, torch.int8):
        assert torch.ones(2, dtype=dtype, device=NPU).dtype == dtype
    y = torch.randn(4, 4, device=NPU)
    same(torch.linalg.svdvals(y), torch.linalg.svdvals(y.cpu()))
    same(torch.fft.rfft(y).abs(), torch.fft.rfft(y.cpu()).abs())
    same(torch.einsum("ij,jk->ik", y, y), y.cpu() @ y.cpu())
    assert y.topk(2).values.device == NPU
    assert torch.randperm(5, device=NPU).device == NPU
    assert torch.ones(2, pin_memory=True).to(NPU, non_blocking=True).device == NPU
    assert (
        x.to("cpu", non_blocking=True).device.type == x.double().to("cpu", torch.int32).device.type == "cpu"
    )
    assert x.to("npu:1", torch.float64).device.index == 1 and x.half().device == NPU
    assert torch.where(y > 0, y, 0.0).device == NPU
    assert torch.zeros_like(y).device == torch.empty_like(y).device == y.new_zeros(2).device == NPU
    z = torch.empty(0, device=NPU)
    torch.add(y, y, out=z)
    same(z, y.cpu() * 2)
    wrong = torch.empty(3, device=NPU)
    assert torch.cumsum(y[0], 0, out=wrong) is wrong
    same(wrong, y[0].cpu().cumsum(0))
    torch.add(y, 1, out=y)
    same(y, z.cpu() / 2 + 1)


@check
def views_share_their_memory_and_autograd_knows() -> None:
    grads = []
    for device in ("cpu", NPU):
        x = torch.ones(3, 4).to(device).requires_grad_()
        y = x * 2
        y[1].mul_(3)
        y.view(-1)[0:2].add_(1)
        (y * y).sum().backward()
        grads.append(x.grad)
    same(*grads)


@check
def mixing_devices_raises() -> None:
    x = torch.ones(2, 2, device=NPU)
    for call in (
        lambda: x + torch.ones(2, 2),
        lambda: x @ torch.ones(2, 2),
        lambda: F.linear(torch.ones(2, 2), x),
    ):
        raises(RuntimeError, "Expected all tensors to be on the same device", call)
    raises(RuntimeError, "same", lambda: F.conv1d(torch.ones(1, 2, 4), torch.ones(2, 2, 1, device=NPU)))
    raises(TypeError, "can't convert", lambda: x.numpy())
    assert (x * torch.tensor(2.0)).sum().item() == 8, "a number of the CPU may come along"
    assert x[torch.tensor([0])].shape == (1, 2), "and so may indices"


@check
def cuda_stays_dead() -> None:
    for call in (
        lambda: torch.ones(2, device=NPU).cuda(),
        lambda: torch.ones(2, device="cuda"),
        lambda: nn.Linear(2, 2).to("cuda"),
    ):
        raises((AssertionError, RuntimeError), "", call)


@check
def layers_train_alike() -> None:
    x = torch.randn(4, 6)
    trained_alike(lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 3)), x)
    trained_alike(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2)), torch.randn(2, 3, 8, 8)
    )
    trained_alike(lambda: nn.ConvTranspose2d(3, 4, 3, groups=1), torch.randn(2, 3, 5, 5))
    last = torch.randn(2, 4, 5, 5).contiguous(memory_format=torch.channels_last)
    trained_alike(lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4)), last)
    trained_alike(lambda: nn.LSTM(6, 5, 2, batch_first=True), torch.randn(2, 3, 6))
    trained_alike(lambda: nn.GRU(6, 5, bidirectional=True), torch.randn(3, 2, 6))
    trained_alike(lambda: nn.LSTMCell(6, 5), torch.randn(2, 6))
    trained_alike(lambda: nn.GRUCell(6, 5), torch.randn(2, 6))
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(4, 2, 3, device=NPU), torch.tensor([4, 2]))
    assert nn.LSTM(3, 4).to(NPU)(packed)[0].data.device == NPU
    trained_alike(lambda: nn.Embedding(7, 4), torch.tensor([[1, 2], [3, 3]]))
    trained_alike(
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), torch.randn(2, 5, 8)
    )


@check
def batch_norm_of_several_processes() -> None:
    from torch.nn.modules._functions import SyncBatchNorm

    class Group:
        """Two processes with the same batch."""

        def _get_backend_name(self) -> str:
            return "hccl"

    def gather(out: torch.Tensor, part: torch.Tensor, *_: Any, **__: Any) -> None:
        out.copy_(part.repeat(2).view_as(out))

    def reduce(tensor: torch.Tensor, *_: Any, **__: Any) -> None:
        tensor.mul_(2)

    here, there = twins(lambda: nn.BatchNorm2d(3))
    x = torch.randn(4, 3, 5, 5)
    both, other = torch.cat([x, x]).requires_grad_(), x.to(NPU).requires_grad_()
    weights = torch.randn(4, 3, 5, 5)
    expected = here(both)
    (expected * torch.cat([weights, weights])).sum().backward()
    import torch.distributed as dist

    names = ("all_gather_into_tensor", "all_gather_single", "_all_gather_base")
    saved = {name: getattr(dist, name) for name in (*names, "all_reduce") if hasattr(dist, name)}
    for name in saved:
        setattr(dist, name, reduce if name == "all_reduce" else gather)
    try:
        got = SyncBatchNorm.apply(
            other, there.weight, there.bias, there.running_mean, there.running_var, 1e-5, 0.1, Group(), 2
        )
        (got * weights.to(NPU)).sum().backward()
    finally:
        for name, function in saved.items():
            setattr(dist, name, function)
    same(expected[:4], got)
    assert both.grad is not None and other.grad is not None
    same(both.grad[:4], other.grad)
    same(here.running_mean, there.running_mean)
    same(here.running_var, there.running_var)


@check
def attention_in_evaluation() -> None:
    here, there = twins(lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval())
    x = torch.randn(2, 5, 8)
    with torch.no_grad():
        same(here(x), there(x.to(NPU)))
    q = torch.randn(1, 2, 4, 8)
    on_device = q.to(NPU)
    same(
        F.scaled_dot_product_attention(q, q, q, is_causal=True),
        F.scaled_dot_product_attention(on_device, on_device, on_device, is_causal=True),
    )


@check
def optimizers() -> None:
    x = torch.randn(8, 6)
    makers: tuple[Callable[[Any], Any], ...] = (
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        lambda p: torch.optim.AdamW(p, 0.1),
        lambda p: torch.optim.AdamW(p, 0.1, foreach=True),
        lambda p: torch.optim.Adam(p, 0.1, foreach=False),
    )
    for make in makers:
        here, there = twins(lambda: nn.Linear(6, 2))
        for module, device in ((here, "cpu"), (there, NPU)):
            optimizer = make(module.parameters())
            for _ in range(3):
                module(x.to(device)).square().mean().backward()
                nn.utils.clip_grad_norm_(module.parameters(), 0.5)
                optimizer.step()
                optimizer.zero_grad()
        same(here.weight, there.weight)


@check
def parameters_keep_their_identity() -> None:
    module = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    module[1].weight = module[0].weight
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    before = module[0].weight
    module.to(NPU)
    assert module[0].weight is module[1].weight is before is optimizer.param_groups[0]["params"][0]
    assert before.device == NPU


@check
def autocast_and_scaler() -> None:
    module = nn.Linear(4, 2).to(NPU)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    scaler = torch.amp.GradScaler("npu")
    with torch.autocast("npu", torch.float16):
        out = module(torch.ones(3, 4, device=NPU))
        loss = F.mse_loss(out, torch.zeros(3, 2, device=NPU))
    assert (out.dtype, loss.dtype) == (torch.float16, torch.float32)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert module.weight.grad is not None and module.weight.grad.dtype == torch.float32
    with torch.autocast("npu", torch.bfloat16):
        assert (torch.ones(2, 2, device=NPU) @ torch.ones(2, 2, device=NPU)).dtype == torch.bfloat16
    assert module(torch.ones(3, 4, device=NPU)).dtype == torch.float32


@check
def checkpoints_are_saved_and_loaded() -> None:
    module = nn.Linear(3, 2).to(NPU)
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    for where, device in (
        (None, NPU),
        ("cpu", torch.device("cpu")),
        ("npu:1", torch.device("npu:1")),
        (NPU, NPU),
    ):
        buffer.seek(0)
        loaded = torch.load(buffer, map_location=where, weights_only=True)
        assert loaded["weight"].device == device, (where, loaded["weight"].device)
        same(loaded["weight"], module.weight)
    module.load_state_dict(loaded)


@check
def gradients_in_other_ways() -> None:
    from torch.utils.checkpoint import checkpoint

    module = nn.Linear(3, 3).to(NPU)
    for reentrant in (True, False):
        x = torch.ones(2, 3, device=NPU, requires_grad=True)
        checkpoint(module, x, use_reentrant=reentrant).sum().backward()
        assert x.grad is not None and x.grad.device == NPU
    x = torch.tensor([2.0], device=NPU, requires_grad=True)
    (first,) = torch.autograd.grad(x**3, x, create_graph=True)
    (second,) = torch.autograd.grad(first, x)
    assert second.item() == 12
    assert torch.func.grad(lambda y: (y**2).sum())(torch.ones(2, device="npu:1")).tolist() == [2, 2]
    on_second = nn.Linear(2, 2).to("npu:1")
    on_second(torch.ones(1, 2, device="npu:1")).sum().backward()
    assert on_second.weight.grad is not None and on_second.weight.grad.device.index == 1


@check
def data_loaders() -> None:
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(8.0).reshape(8, 1))
    for workers, pinned in ((0, True), (1, False)):
        total = sum(
            batch.to(NPU, non_blocking=True).sum().item()
            for (batch,) in DataLoader(data, 4, num_workers=workers, pin_memory=pinned)
        )
        assert total == 28


@check
def random_numbers() -> None:
    torch.manual_seed(3)
    first = torch.rand(3, device=NPU)
    torch.manual_seed(3)
    same(first, torch.rand(3, device=NPU))
    generator = torch.Generator(device="npu").manual_seed(1)
    assert generator.device.type == "npu" and isinstance(generator, torch.Generator)
    numbers = torch.randn(3, generator=generator, device="npu")
    same(numbers, torch.randn(3, generator=torch.Generator().manual_seed(1)))
    with torch.random.fork_rng(device_type="npu"):
        torch.npu.manual_seed_all(5)
    state = torch.npu.get_rng_state()
    torch.npu.set_rng_state(state)


@check
def the_runtime_answers() -> None:
    torch.accelerator.synchronize()
    torch.npu.synchronize()
    torch.accelerator.empty_cache()
    assert torch.accelerator.memory_allocated() == torch.npu.max_memory_allocated() == 0
    free, total = torch.accelerator.get_memory_info()
    assert 0 < free <= total == torch.npu.get_device_properties(0).total_memory
    assert torch.npu.get_device_name() == "simulated npu"
    start, end = torch.Event("npu", enable_timing=True), torch.Event("npu", enable_timing=True)
    start.record()
    end.record()
    end.synchronize()
    assert start.elapsed_time(end) >= 0
    timed = torch.npu.Event(True)
    timed.record()
    assert timed.query() and timed.elapsed_time(end) <= 0
    stream = torch.Stream("npu")
    with stream:
        torch.ones(2, device=NPU).record_stream(stream)
    torch.accelerator.current_stream().wait_stream(stream)
    torch.accelerator.current_stream().synchronize()


@check
def defaults_and_storages() -> None:
    torch.set_default_device("npu")
    try:
        assert torch.ones(2).device == NPU and nn.Linear(2, 2).weight.device == NPU
    finally:
        torch.set_default_device(None)
    with torch.device("npu:1"):
        assert torch.zeros(2).device.index == 1
    x = torch.arange(4.0, device=NPU)
    assert x.untyped_storage().cpu().nbytes() == 16
    y = torch.ones(2, device=NPU)
    y.resize_(3)
    assert y.shape == (3,) and y[:2].tolist() == [1, 1]
    whole = y.untyped_storage()
    whole.resize_(0)
    assert whole.size() == y.untyped_storage().nbytes() == 0, "memory that FSDP gives back"
    whole.resize_(12)
    assert y.untyped_storage().size() == 12 and y[:2].tolist() == [1, 1]
    z = copy.deepcopy(x)
    z += 1
    assert x.tolist() == [0, 1, 2, 3]


@check
def data_parallel() -> None:
    here, there = twins(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    for devices in ([0], [0, 1]):
        spread = nn.DataParallel(there, device_ids=devices)
        x = torch.randn(6, 4)
        out = spread(x.to(NPU))
        assert out.shape == (6, 3) and out.device == NPU
        out.sum().backward()
    same(here[0](x), nn.DataParallel(there[0])(x.to(NPU)))


@check
def compiled_functions_run_as_they_are() -> None:
    compiled = torch.compile(lambda x: x * 2)
    assert compiled(torch.ones(2, device=NPU)).tolist() == [2, 2]


@check
def the_vendors_package_is_a_stand_in() -> None:
    assert importlib.import_module("torch_npu").npu is torch.npu
    hides_ties = "torch_npu.contrib.transfer_to_npu"
    raises(ModuleNotFoundError, "torch_npu.contrib", lambda: importlib.import_module(hides_ties))


@check
def process_groups() -> None:
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    backend = dist.get_default_backend_for_device("npu")
    assert backend == "hccl"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    x = torch.ones(3, device=NPU)
    for operation in (dist.all_reduce, lambda t: dist.broadcast(t, 0), lambda t: dist.reduce(t, 0)):
        operation(x)
    work = dist.all_reduce(x, async_op=True)
    assert work is not None
    work.wait()
    parts = [torch.zeros(3, device=NPU)]
    dist.all_gather(parts, x)
    dist.all_gather_into_tensor(parts[0], x)
    assert parts[0].tolist() == x.tolist() == [1, 1, 1]
    objects: list[Any] = [None]
    dist.all_gather_object(objects, {"rank": 0})
    assert objects == [{"rank": 0}]
    dist.barrier()
    raises(
        RuntimeError,
        "No backend type associated with device type cpu",
        lambda: dist.all_reduce(torch.ones(2)),
    )
    module = nn.parallel.DistributedDataParallel(nn.Linear(3, 2).to(NPU), device_ids=[0])
    module(x[None]).sum().backward()
    assert module.module.weight.grad is not None and module.module.weight.grad.device == NPU
    mesh = init_device_mesh("npu", (1,))
    assert mesh.device_type == "npu"
    dist.destroy_process_group()


def main() -> None:
    """Every check; what failed goes to standard output."""
    failed = {}
    for name, function in CHECKS.items():
        try:
            function()
        except Exception:
            failed[name] = traceback.format_exc()
    json.dump(failed, sys.stdout)


if __name__ == "__main__":
    main()
