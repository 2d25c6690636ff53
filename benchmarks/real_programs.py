"""Runs programs of package-index projects on the CPU before and after their fixes, and prints a table.

    python benchmarks/real_programs.py FOLDER [--python PYTHON] [--only NAME] [--diff]

FOLDER takes what is downloaded, the copies that are fixed, and an environment with a CPU-only torch and what the programs
import, unless PYTHON is an interpreter that has all that. No project at hand is installed there, its code is put on the
path.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch==2.13.0"
REQUIREMENTS = """
setuptools<81 numpy scipy pillow tqdm einops fire retry scikit-image opencv-python-headless h5py huggingface_hub julius
requests einx frozendict loguru psutil safetensors packaging tabulate colorama
"""
"""What the programs import, and what that needs."""
WITHOUT_THEIR_OWN = """
torchvision==0.28.0 kornia kornia_rs accelerate adabelief-pytorch ema-pytorch vector-quantize-pytorch torch-einops-utils
"""
"""What they import too, and what is installed alone: it would bring another torch."""

FLOOR = "2.6"
"""The torch floor that the projects' maintainers would have to decide on: many name a lower one, or none."""

PRELUDE = '''
import hashlib, importlib.util, os, sys, types, warnings
import torch

warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.set_num_threads(1)
# The package index has torchvision with operators for the CUDA build of torch only: declared, they can be missing.
for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def absent(*names):
    """Stands in for modules that are imported and not used."""
    for name in names:
        sys.modules[name] = types.ModuleType(name)


def load(path):
    """One file as a module of its own, without the package around it."""
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], os.path.join(os.environ["CODE"], path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def show(*tensors):
    """The result: how many numbers, and a digest of all their bits."""
    digest = hashlib.sha256()
    count = 0
    for tensor in tensors:
        tensor = torch.as_tensor(tensor).detach().contiguous().cpu()
        count += tensor.numel()
        digest.update(str(tensor.dtype).encode() + tensor.numpy().tobytes())
    print(f"RESULT {count} numbers, {digest.hexdigest()[:12]}")
'''

IMAGES = """
import numpy, random
from pathlib import Path
from PIL import Image

random.seed(0)
Path("images").mkdir(exist_ok=True)
for i in range(8):
    Image.fromarray((torch.rand(32, 32, 3) * 255).byte().numpy()).save(f"images/{i}.png")
"""


@dataclass(frozen=True)
class Program:
    """A program and how it is called.

    `code` is what is fixed, below the project's root; `driver` calls it with small inputs. `ran`: it runs on the CPU
    as it is, and must give the same afterwards. `gate` is a line that lets nobody in without CUDA, as a pattern: the tool
    tells it and leaves it, since its message asks for CUDA. It is taken out by hand, before anything is run.
    """

    project: str
    version: str
    code: str
    what: str
    driver: str
    ran: bool = False
    gate: str = ""

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.project} {self.version}, {self.what}"


PROGRAMS = (
    Program(
        "stylegan2-pytorch",
        "1.9.0",
        "stylegan2_pytorch",
        "two training steps",
        IMAGES
        + """
absent("aim")
from stylegan2_pytorch import Trainer

trainer = Trainer(image_size=32, network_capacity=2, batch_size=2, num_workers=0, num_image_tiles=2, no_pl_reg=True)
trainer.set_data_src("images")
for _ in range(2):
    trainer.train()
show(trainer.d_loss, trainer.g_loss, *trainer.GAN.G.parameters())
""",
        gate=r"assert torch\.cuda\.is_available\(\), .*",
    ),
    Program(
        "lightweight-gan",
        "1.2.1",
        "lightweight_gan",
        "two training steps",
        IMAGES
        + """
from lightweight_gan import Trainer

trainer = Trainer(image_size=32, latent_dim=16, fmap_max=16, batch_size=2, num_workers=0, aug_prob=0.0, use_aim=False)
trainer.set_data_src("images")
for _ in range(2):
    trainer.train()
show(trainer.d_loss, trainer.g_loss, *trainer.GAN.G.parameters())
""",
        gate=r"assert torch\.cuda\.is_available\(\), .*",
    ),
    Program(
        "fairseq",
        "0.12.2",
        "fairseq/modules/quantization/scalar/ops.py",
        "emulated int8",
        """
ops = load("fairseq/modules/quantization/scalar/ops.py")
w = torch.randn(8, 8)
show(*ops.emulate_int8_histogram(w), *ops.emulate_int8_tensor(w))
""",
    ),
    Program(
        "asteroid",
        "0.7.0",
        "asteroid/utils/torch_utils.py",
        "a batch moved",
        """
utils = load("asteroid/utils/torch_utils.py")
moved = utils.to_cuda({"mix": torch.randn(2, 8), "sources": [torch.randn(2, 4)]})
show(moved["mix"], *moved["sources"])
""",
    ),
    Program(
        "torchreid",
        "0.2.5",
        "torchreid/reid/losses",
        "cross entropy with smooth labels",
        """
loss = load("torchreid/reid/losses/cross_entropy_loss.py").CrossEntropyLoss(4)
inputs = torch.randn(3, 4, requires_grad=True)
value = loss(inputs, torch.tensor([0, 1, 3]))
value.backward()
show(value, inputs.grad)
""",
    ),
    Program(
        "basicsr",
        "1.4.2",
        "basicsr/data/prefetch_dataloader.py",
        "CUDAPrefetcher over an epoch",
        """
prefetch = load("basicsr/data/prefetch_dataloader.py")
loader = [{"lq": torch.randn(2, 3), "path": "a"}, {"lq": torch.randn(2, 3), "path": "b"}]
fetcher = prefetch.CUDAPrefetcher(loader, {"num_gpu": 1})
batches = []
while (batch := fetcher.next()) is not None:
    batches.append(batch["lq"])
show(*batches)
""",
    ),
    Program(
        "audiocraft",
        "1.3.0",
        "audiocraft/modules/diffusion_schedule.py",
        "a noise schedule",
        """
schedule = load("audiocraft/modules/diffusion_schedule.py").NoiseSchedule(num_steps=10)
item = schedule.get_training_item(torch.randn(2, 1, 16))
show(item.noisy, schedule.betas, schedule.get_alpha_bar())
""",
    ),
    Program(
        "demucs",
        "4.1.0",
        "demucs/distrib.py",
        "metrics and objects shared in a process group",
        """
import torch.distributed as dist

absent("dora")
sys.modules["dora"].distrib = None
distrib = load("demucs/distrib.py")
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
distrib.world_size = 2
shared = distrib.share({"best": [1.5, 2.5]})
model = distrib.wrap(torch.nn.Linear(2, 1))
show(torch.tensor(distrib.average([0.25, 0.75])), torch.tensor(shared["best"]), model(torch.ones(1, 2)))
""",
    ),
    Program(
        "facexlib",
        "0.3.0",
        "facexlib/alignment",
        "landmarks of a face",
        """
from facexlib.alignment.awing_arch import FAN

model = FAN(num_modules=1).eval()
with torch.no_grad():
    outputs, boundaries = model(torch.rand(1, 3, 256, 256))
show(*outputs)
""",
        ran=True,
    ),
    Program(
        "torch-fidelity",
        "0.4.0",
        "torch_fidelity",
        "a wrapped generator",
        """
from torch_fidelity import GenerativeModelModuleWrapper

model = GenerativeModelModuleWrapper(torch.nn.Linear(4, 2), 4, "normal", 0, cuda=True)
show(model(torch.ones(3, 4)))
""",
    ),
    Program(
        "lpips",
        "0.1.4",
        "lpips",
        "L2 in Lab",
        """
import lpips

a, b = torch.rand(1, 3, 16, 16) * 2 - 1, torch.rand(1, 3, 16, 16) * 2 - 1
show(lpips.L2()(a, b))
""",
    ),
    Program(
        "super-image",
        "0.2.0",
        "super_image",
        "LIIF at any point",
        """
from super_image import LiifConfig, LiifModel

model = LiifModel(LiifConfig()).eval()
with torch.no_grad():
    model.gen_feat(torch.rand(1, 3, 8, 8))
    show(model.query_rgb(torch.zeros(1, 5, 2), torch.full((1, 5, 2), 0.1)))
""",
    ),
    Program(
        "catalyst",
        "21.5",
        "catalyst/data/loader.py",
        "batches prefetched",
        """
from torch.utils.data import DataLoader, TensorDataset

loader = load("catalyst/data/loader.py")
data = DataLoader(TensorDataset(torch.arange(6.0)), batch_size=2)
show(*(batch[0] for batch in loader.BatchPrefetchLoaderWrapper(data)))
""",
        ran=True,
    ),
    Program(
        "vector-quantize-pytorch",
        "1.32.0",
        "vector_quantize_pytorch",
        "vectors quantised",
        """
from vector_quantize_pytorch import FSQ, LFQ, VectorQuantize

x = torch.randn(1, 16, 8)
quantized, indices, loss = VectorQuantize(dim=8, codebook_size=16)(x)
show(quantized, indices, loss, FSQ([4, 4], dim=8)(x)[0], LFQ(dim=8, codebook_size=16)(x)[0])
""",
        ran=True,
    ),
    Program(
        "denoising-diffusion-pytorch",
        "2.3.4",
        "denoising_diffusion_pytorch",
        "a training step and a sample",
        """
from denoising_diffusion_pytorch import GaussianDiffusion, Unet

model = GaussianDiffusion(Unet(dim=8, dim_mults=(1, 2), flash_attn=False), image_size=16, timesteps=3)
loss = model(torch.rand(2, 3, 16, 16))
loss.backward()
show(loss, model.sample(batch_size=1))
""",
        ran=True,
    ),
    Program(
        "torchattacks",
        "3.5.1",
        "torchattacks",
        "four attacks",
        """
import torchattacks

model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)).eval()
x, y = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 0])
attacks = [
    torchattacks.PGD(model, steps=2),
    torchattacks.Square(model, n_queries=5),
    torchattacks.APGD(model, steps=2),
    torchattacks.FAB(model, steps=2, n_classes=3),
]
show(*(attack(x, y) for attack in attacks))
""",
        ran=True,
    ),
    Program(
        "pytorch-fid",
        "0.3.0",
        "pytorch_fid",
        "statistics and distance",
        """
import numpy as np
from pytorch_fid import fid_score, inception

block = inception.InceptionV3.BLOCK_INDEX_BY_DIM[64]
random = np.random.RandomState(0)
a, b = random.rand(9, 4), random.rand(9, 4)
show(fid_score.calculate_frechet_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T)), block)
""",
        ran=True,
    ),
)


def environment(folder: Path) -> str:
    """The interpreter of an environment in `folder` that has what the programs import."""
    python = folder / "environment" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
        for wanted in ([TORCH], ["--no-deps", *WITHOUT_THEIR_OWN.split()], REQUIREMENTS.split()):
            subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return str(python)


def fetched(program: Program, folder: Path) -> Path:
    """The root of the project's code, downloaded and unpacked but not installed."""
    root = folder / "src" / f"{program.project}-{program.version}"
    if not root.is_dir():
        archives = folder / "archives" / root.name
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation",
             "--dest", archives, f"{program.project}=={program.version}"],
            check=True,
        )  # fmt: skip
        archive = next(archives.iterdir())
        if archive.suffix in (".whl", ".zip"):
            zipfile.ZipFile(archive).extractall(root)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(root, filter="data")
    top = program.code.partition("/")[0]
    return next(path.parent for path in sorted(root.rglob(top)) if path.is_dir())


def run(program: Program, root: Path, python: str, folder: Path) -> str:
    """What the program gives with the code at `root`: its result, or the exception."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    done = subprocess.run(
        [python, "-c", PRELUDE + program.driver],
        cwd=work,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "CODE": str(root),
            "CUDA_VISIBLE_DEVICES": "",  # uncuda: ignore[UC701] what runs here must find no GPU
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    result = re.search(r"^RESULT (.*)$", done.stdout, re.M)
    if result is not None and done.returncode == 0:
        return result[1]
    errors = re.findall(r"^(?:\[rank\d\]: )?(\w[\w.]*(?:Error|Exception|Exit)\b.*)$", done.stderr, re.M)
    return errors[-1] if errors else f"exit {done.returncode}"


def open_gate(path: Path, gate: str) -> None:
    """Takes the line that lets nobody in without CUDA out of a file, or of those in a folder."""
    opened = 0
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        text, count = re.subn(rf"^{gate}$", "", file.read_text("utf-8"), flags=re.M)
        opened += count
        file.write_text(text, "utf-8")
    assert opened, f"{path}: no line is {gate!r}"


def fix(path: Path) -> None:
    """Makes every fix in a file or folder."""
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", "check", "--fix", "--unsafe-fixes", "--torch-floor", FLOOR,
         "--no-cache", "--quiet", "--exit-zero", path],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{path}: {done.stdout}{done.stderr}")


def diff(before: Path, after: Path) -> str:
    """What the fixes changed, as one diff."""
    lines: list[str] = []
    for new in sorted(after.rglob("*.py")):
        name = str(new.relative_to(after))
        old = before / name
        lines += difflib.unified_diff(
            old.read_text("utf-8").splitlines(keepends=True),
            new.read_text("utf-8").splitlines(keepends=True),
            name,
            name,
        )
    return "".join(lines)


def short(text: str) -> str:
    """As a cell of the table."""
    text = text.replace("|", "\\|")
    return text if len(text) <= 72 else f"{text[:71]}…"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", help="an interpreter that has what the programs import")
    parser.add_argument("--only", default="", help="programs with this in their name")
    parser.add_argument("--diff", action="store_true", help="print what the fixes changed")
    args = parser.parse_args()
    folder = args.folder.resolve()
    python = args.python or environment(folder)
    wrong = 0
    print("| program | before | after | lines changed |\n|---|---|---|---:|")
    for program in (p for p in PROGRAMS if args.only in p.name):
        root = fetched(program, folder)
        copies = [folder / side / f"{program.project}-{program.version}" for side in ("before", "after")]
        top = program.code.partition("/")[0]
        for copy in copies:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(root / top, copy / top)
            if program.gate:
                open_gate(copy / program.code, program.gate)
        before = run(program, copies[0], python, folder)
        fix(copies[1] / program.code)
        after = run(program, copies[1], python, folder)
        changed = diff(*copies)
        count = len(re.findall(r"^-(?!--)", changed, re.M))
        print(f"| {program.name} | {short(before)} | {short(after)} | {count} |", flush=True)
        good = after == before if program.ran else "numbers" in after and "numbers" not in before
        wrong += not good
        if not good:
            print(f"  wrong: {before} -> {after}", file=sys.stderr)
        if args.diff:
            print(changed)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
