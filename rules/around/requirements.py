"""Packages that are asked for: builds for CUDA, parts of CUDA, indexes that hold nothing else."""

from __future__ import annotations

import re

from uncuda.around.context import FileContext
from uncuda.around.items import Index, Option, Requirement
from uncuda.around.kinds import Kind
from uncuda.findings import Outcome, Outcomes, Target
from uncuda.rules.base import Bad, Category, FileRule, Good
from uncuda.rules.catalogue import held_triggers

_BUILD = re.compile(r"\+cu(?:\d|\$|\{|x)|\+cuda\d", re.I)
_BUILD_STRING = re.compile(r"=.*(?:cuda|\bcu\d|gpu)", re.I)
_URL_BUILD = re.compile(r"(?:\+|%2b)cu(?:\d|\$|\{)|[-_.]cu1[0-3]\d?(?:torch|[-_.])", re.I)
_CUDA_PATH = re.compile(
    r"(?:^|[/+_.-])cu(?:da)?(?:_?1[0-3](?:[._]?\d)?|\$|\{|x{3,})[^/]*|cuda_releases|/cuda/|/whl/(?:nightly/)?\$\{?\w*cu(?:da)?(?:_\w+)?\}?(?:/|\Z)",
    re.I,
)
_VENDOR = re.compile(r"://[\w.-]*\bnvidia\.com\b")
_OTHER_PATH = re.compile(r"/(?:cpu|rocm[\d.]*|xpu|hpu|ascend)(?:/|\Z)", re.I)
_CUDA_EXTRA = re.compile(r"(?:and[-_])?cuda\w*(?:[-_]\w+)*|cu1\d\w*|(?:\w+[-_])?gpu", re.I)
_NOT_MAC = re.compile(
    r"(?:sys_platform|platform_system|os_name)\s*(?:==\s*['\"](?:linux|linux2|Linux|win32|Windows|nt)['\"]|!=\s*['\"](?:darwin|Darwin)['\"])"
)


def _without_mac(outcomes: Outcomes, item: Requirement) -> Outcomes:
    """The outcomes, a Mac left out where a marker keeps the requirement from it."""
    if not _NOT_MAC.search(item.marker):
        return outcomes
    return {t: Outcome.WORKS if t is Target.MPS else o for t, o in outcomes.items()}


_WORDS = (
    "apex", "auto-gptq", "auto_gptq", "bitblas", "causal-conv1d", "causal_conv1d", "cucim", "cuda", "cudf",
    "cuequivariance", "cugraph", "cuml", "cupy", "cuquantum", "cuvs", "cvcuda", "-cu1", "deep-ep", "deep_ep", "deep-gemm",
    "deep_gemm", "eetq", "exllama", "fast-hadamard", "fast_hadamard", "fla-core", "flash", "faiss", "gpu",
    "gputil", "GPUtil", "gsplat", "isaacsim", "jax-triton", "mamba", "megatron", "natten", "nccl", "nerfacc",
    "nunchaku", "nvidia", "nvitop", "nvjpeg", "nvmath", "nvshmem", "py3nvml", "pynvml", "pytorch-quantization",
    "pylibraft", "pynvvideocodec", "rmm", "sageattention", "scikit-cuda", "tensorrt", "tilelang", "torch-memory-saver",
    "torch_memory_saver", "transformer-engine", "transformer_engine", "triton", "vptq", "xformers",
)  # fmt: skip


def _triggers() -> tuple[str, ...]:
    """The words above, and the names of distributions that hold none of them."""
    from uncuda.rules.knowledge import packages, required

    names = {name for package in packages().values() for name in package.pypi if required(name) is not None}
    spelled = {spelling for name in names for spelling in (name, name.replace("-", "_"))}
    rest = {rf"\b{name}\b" for name in spelled if not any(word in name for word in _WORDS)}
    return (*_WORDS, *sorted(rest))


class CudaRequirement(FileRule):
    """A package that is built for CUDA is required, so that nobody else can install or use the project.

    Its wheel isn't there for the platform, its build stops without nvcc, or it installs and fails at the first
    call. Ask for it in an extra or group of its own, or with a marker, and do without it in the code where it isn't
    there (UC501 finds the imports). Requirements of extras, groups and CUDA's own files are told as potential.
    """

    code = "UC801"
    name = "cuda-requirement"
    triggers = held_triggers("UC801")
    category = Category.MANDATORY
    effort = 3
    sources = ("knowledge base: packages, around",)
    bad = (
        Bad("torch>=2.4\nflash-attn==2.6.3\nnumpy\n", file="requirements.txt"),
        Bad("onnxruntime-gpu>=1.17  # inference\nfaiss-gpu\n", file="requirements/base.txt", count=2, id="builds"),
        Bad("flash_attn @ git+https://example.org/flash-attention@v2.6\n", file="requirements.in", id="url"),
        Bad("-e git+https://example.org/NVIDIA/apex.git#egg=apex\n", file="requirements.txt", id="egg"),
        Bad("https://example.org/releases/flash_attn-2.5.8+cu122torch2.3-cp310-cp310-linux_x86_64.whl\n",
            file="requirements.txt", id="wheel"),
        Bad('[project]\nname = "x"\ndependencies = [\n    "torch",\n    "xformers ; sys_platform == \'linux\'",\n]\n',
            file="pyproject.toml", id="pyproject"),
        Bad('[tool.poetry.dependencies]\npython = "^3.10"\ncupy-cuda12x = "^13.0"\n', file="pyproject.toml", id="poetry"),
        Bad('[project.optional-dependencies]\nfast = ["flash-attn>=2"]\n', file="pyproject.toml", id="extra"),
        Bad("[options]\ninstall_requires =\n    torch\n    mamba-ssm>=2\n", file="setup.cfg", id="setup-cfg"),
        Bad('[packages]\ntorch = "*"\n"flash-attn" = {version = "*"}\n', file="Pipfile", id="pipfile"),
        Bad("name: x\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pip:\n    - xformers==0.0.27\n",
            file="environment.yml", id="conda-pip"),
        Bad("pip install torch flash-attn --no-build-isolation\n", file="install.sh", id="script"),
        Bad("FROM python:3.12\nRUN pip install --no-cache-dir \\\n    torch \\\n    deep-ep\n", file="Dockerfile", id="docker"),
        Bad("jobs:\n  test:\n    steps:\n      - run: |\n          pip install -e .\n          pip install tensorrt\n",
            file=".github/workflows/ci.yml", id="ci"),
        Bad('[[package]]\nname = "flash-attn"\nversion = "2.6.3"\nsource = { registry = "x" }\n', file="uv.lock", id="lock"),
        Bad("jax[cuda12]==0.4.30\n", file="requirements.txt", id="extra-of-a-package"),
    )  # fmt: skip
    good = (
        Good("torch>=2.4\nonnxruntime\nfaiss-cpu\nnumpy\n", "builds for every host", file="requirements.txt"),
        Good("# flash-attn is optional: pip install flash-attn\ntorch\n", "a comment", file="requirements.txt"),
        Good("triton-ascend==3.2.0\npytorch-triton-rocm\ncupy-rocm-5-0\n", "other vendors' builds", file="requirements.txt"),
        Good("bitsandbytes>=0.45\n", "runs on most targets", file="requirements.txt"),
        Good("flash-attention-notes\nmy-xformers-fork\n", "other names", file="requirements.txt"),
        Good("-r base.txt\n--hash=sha256:cuda\n-c constraints-flash-attn.txt\n", "other files", file="requirements.txt"),
        Good('[project]\nname = "flash-attn"\nkeywords = ["flash-attn", "xformers"]\n', "not requirements", file="pyproject.toml"),
        Good('[tool.ruff]\nexclude = ["xformers"]\n', "another tool's", file="pyproject.toml"),
        Good("[mypy-flash_attn.*]\nignore_missing_imports = True\n", "not requirements", file="setup.cfg"),
        Good("echo 'pip install flash-attn'\n", "text", file="install.sh"),
        Good("pip install -r requirements-flash-attn.txt\n", "a file's name", file="install.sh"),
        Good("apt-get install -y triton\n", "a package of the system", file="install.sh"),
        Good("# RUN pip install flash-attn\nFROM python:3.12\nLABEL uses=\"flash-attn\"\n", "a comment", file="Dockerfile"),
        Good("jobs:\n  flash-attn:\n    name: flash-attn\n    runs-on: ubuntu-latest\n", "names", file="ci.yml"),
        Good("name: x\ndependencies:\n  flash-attn: the fast one\n", "no list", file="docs.yaml"),
        Good('[[package]]\nname = "torch"\nversion = "2.6.0"\n\n[package.optional-dependencies]\nfast = ["flash-attn"]\n',
             "not a package of its own", file="uv.lock"),
        Good("jax[tpu]\nuvicorn[standard]\n", "other extras", file="requirements.txt"),
    )  # fmt: skip

    @classmethod
    def made_triggers(cls) -> tuple[str, ...]:
        return _triggers()

    def visit_Requirement(self, item: Requirement, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts, required

        fact = required(item.name)
        extra = next((e for e in item.extras if _CUDA_EXTRA.fullmatch(e)), None)
        if fact is not None:
            advice = f"; advice: {fact.instead}" if fact.instead else ""
            told = "runs on some devices only" if fact.partly else "is for CUDA only"
            if item.locked:
                told = f"is locked, and {told}"
            elif not item.marker and item.manager == "pip" and not item.handled:
                told += ", and is asked for everywhere (no marker)"
            ctx.report(
                self,
                item,
                f"`{item.name}` {told}{advice}",
                symbol=fact.symbol,
                outcomes=_without_mac(fact.outcomes, item),
                effort=fact.effort,
            )
        elif extra is not None:
            fact = around_facts()["CUDA extra"]
            ctx.report(
                self,
                item,
                f"`{item.name}[{extra}]` brings CUDA's libraries; advice: {fact.instead}",
                symbol=fact.symbol,
                outcomes=_without_mac(fact.outcomes, item),
                effort=fact.effort,
            )


class CudaBuildPin(FileRule):
    """A pin of a CUDA build (`+cu121`, a build string of conda) can't be met, or wins, on other hardware.

    The build is on one index only and there is none for macOS; where it can be had it is installed on AMD and Intel
    hosts too, and the program runs on their CPU without an error. Pin the release, and choose the build by the index
    at installation.
    """

    code = "UC802"
    name = "cuda-build-pin"
    triggers = ("+cu", "%2Bcu", "cuda", "gpu", "--torch-backend")
    category = Category.MANDATORY
    effort = 1
    priority = 40
    sources = ("PEP 440, local version identifiers", "knowledge base: around")
    bad = (
        Bad("torch==2.5.1+cu121\ntorchvision==0.20.1+cu121\n", file="requirements.txt", count=2),
        Bad("torch @ https://example.org/whl/cu118/torch-2.1.0%2Bcu118-cp311-cp311-linux_x86_64.whl\n",
            file="requirements.txt", id="url"),
        Bad('[project]\ndependencies = ["torch==2.3.0+cu121"]\n', file="pyproject.toml", id="pyproject"),
        Bad('[tool.poetry.dependencies]\ntorch = {version = "2.1.0+cu118", source = "pytorch"}\n', file="pyproject.toml", id="poetry"),
        Bad("dependencies:\n  - pytorch=2.1.0=py3.10_cuda12.1_cudnn8.9.2_0\n", file="environment.yml", id="build-string"),
        Bad("pip install torch==1.13.1+cu117 --no-cache-dir\n", file="setup.sh", id="script"),
        Bad("FROM python:3.11\nARG CUDA=121\nRUN pip install \"torch==2.3.1+cu${CUDA}\"\n", file="Dockerfile", id="variable"),
        Bad("uv pip install torch --torch-backend=cu126\n", file="setup.sh", id="backend"),
    )  # fmt: skip
    good = (
        Good("torch==2.5.1\ntorchvision\n", file="requirements.txt"),
        Good("torch==2.5.1+cpu\ntorch==2.5.1+rocm6.2\n", "other builds", file="requirements.txt"),
        Good("# torch==2.5.1+cu121\ntorch\n", "a comment", file="requirements.txt"),
        Good('[tool.poetry]\nversion = "1.0+cu121"\n', "the project's own version", file="pyproject.toml"),
        Good("dependencies:\n  - pytorch=2.1.0=*cpu*\n", "a CPU build", file="environment.yml"),
        Good("echo torch==1.13.1+cu117\n", "text", file="setup.sh"),
        Good("FROM python:3.11\nENV NOTE=torch==2.3.1+cu121\n", "not an installation", file="Dockerfile"),
        Good("uv pip install torch --torch-backend=auto\n", "the host's own", file="setup.sh"),
    )  # fmt: skip

    def visit_Requirement(self, item: Requirement, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts, is_conda_library, required

        if item.manager == "conda":
            build = _BUILD_STRING.search(item.version.partition("=")[2])
            if build is None or "cpu" in build[0].lower() or is_conda_library(item.name):
                return
        elif not (_BUILD.search(item.version) or _URL_BUILD.search(item.url)) or item.locked:
            return
        elif required(item.name) is not None:
            return  # its name says so already
        fact = around_facts()["CUDA build of a package"]
        ctx.report(
            self,
            item,
            f"a CUDA build of `{item.name}` is pinned; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=_without_mac(fact.outcomes, item),
            effort=fact.effort,
        )

    def visit_Option(self, item: Option, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        if item.name == "--torch-backend" and item.value.startswith("cu"):
            fact = around_facts()["--torch-backend"]
            ctx.report(
                self,
                item,
                f"`{item.value}` installs a CUDA build everywhere; advice: {fact.instead}",
                symbol=fact.symbol,
                outcomes=fact.outcomes,
            )


class CudaWheelIndex(FileRule):
    """An index of packages that holds CUDA builds only decides for everybody who installs the project.

    An AMD or Intel host gets a build that sees no device there, and the program runs on the CPU without an error; a
    Mac gets nothing where no other index is asked. Give each accelerator an extra or group with its index, and let
    whoever installs choose. An index beside one for other hardware is told as potential.
    """

    code = "UC803"
    name = "cuda-wheel-index"
    triggers = ("/cu1", "cuda", "CUDA", "nvidia.com", "+cu", "/cu$", "/cu{", "_cu1", "-cu1", ".cu1")
    category = Category.MANDATORY
    effort = 1
    sources = ("knowledge base: around",)
    bad = (
        Bad("--extra-index-url https://example.org/whl/cu121\ntorch\n", file="requirements.txt"),
        Bad("-i https://example.org/whl/cu118 \ntorch\n", file="requirements.txt", id="only"),
        Bad("-f https://example.org/whl/torch-2.1.0+cu121.html\ntorch-scatter\n", file="requirements.txt", id="links"),
        Bad('[[tool.uv.index]]\nname = "torch"\nurl = "https://example.org/whl/cu124"\nexplicit = true\n',
            file="pyproject.toml", id="uv"),
        Bad('[[tool.poetry.source]]\nname = "torch"\nurl = "https://example.org/whl/cu118"\npriority = "explicit"\n',
            file="pyproject.toml", id="poetry"),
        Bad("pip3 install torch torchvision --index-url https://example.org/whl/cu121\n", file="install.sh", id="script"),
        Bad("FROM python:3.11\nRUN pip install -r r.txt \\\n  --extra-index-url=https://example.org/whl/cu${CUDA}\n",
            file="Dockerfile", id="docker"),
        Bad("dependencies:\n  - pip\n  - pip:\n    - --find-links https://example.org/mmcv/dist/cu117/torch1.13/index.html\n    - mmcv\n",
            file="environment.yaml", id="conda"),
        Bad("FROM python:3.11\nARG TORCH_CUDA=cu128\nRUN pip install torch --index-url https://example.org/whl/${TORCH_CUDA}\n",
            file="Dockerfile", id="variable"),
        Bad("build:\n  script:\n    - pip install tensorrt-x --extra-index-url https://wheels.nvidia.com\n", file=".gitlab-ci.yml", id="vendor"),
    )  # fmt: skip
    good = (
        Good("--index-url https://example.org/whl/cpu\ntorch\n", file="requirements.txt"),
        Good("-f https://example.org/whl/torch_stable.html\ntorch\n", "builds for all", file="requirements.txt"),
        Good("--extra-index-url https://example.org/whl/rocm6.2\n", "another vendor's", file="requirements.txt"),
        Good("# --extra-index-url https://example.org/whl/cu121\n", "a comment", file="requirements.txt"),
        Good('[project.urls]\nDocs = "https://example.org/whl/cu121"\n', "a link", file="pyproject.toml"),
        Good('[[tool.uv.index]]\nname = "mine"\nurl = "https://example.org/simple"\n', "one's own", file="pyproject.toml"),
        Good("curl -O https://example.org/whl/cu121/list.txt\n", "not an index", file="install.sh"),
        Good("echo --index-url https://example.org/whl/cu121\n", "text", file="install.sh"),
        Good("pip install --index-url https://example.org/culture/simple x\n", "a word", file="install.sh"),
    )  # fmt: skip

    def visit_Index(self, item: Index, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        if _OTHER_PATH.search(item.url) or not (_VENDOR.search(item.url) or _CUDA_PATH.search(item.url)):
            return
        fact = around_facts()["index of CUDA wheels" if item.only else "additional index of CUDA wheels"]
        others = any(_OTHER_PATH.search(other.url) for other in ctx.items if isinstance(other, Index))
        ctx.report(
            self,
            item,
            f"the index holds CUDA builds only; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
            handled=others,
        )


class CudaLibraries(FileRule):
    """Parts of CUDA (`nvidia-cublas-cu12`, …) are pinned, though torch's CUDA build brings them by itself.

    A frozen list has them because it was frozen on a CUDA host. A Mac can't install them at all, and elsewhere they
    are a gigabyte or more that nothing uses. Leave them out. In a lock file they say that torch is locked to its
    CUDA build: lock once for each accelerator. Told once in a file.
    """

    code = "UC804"
    name = "cuda-libraries"
    triggers = ("nvidia-", "nvidia_")
    category = Category.MANDATORY
    effort = 1
    priority = 30
    sources = ("knowledge base: around",)
    bad = (
        Bad("nvidia-cublas-cu12==12.1.3.1\nnvidia-cudnn-cu12==8.9.2.26\nnvidia-nccl-cu12==2.19.3\ntorch==2.2.0\n",
            file="requirements.txt"),
        Bad("nvidia-cuda-runtime-cu11==11.7.99 ; platform_system == \"Linux\"\n", file="requirements-lock.txt", id="marker"),
        Bad('[tool.poetry.dependencies]\nnvidia-cudnn-cu12 = "8.9.2.26"\n', file="pyproject.toml", id="poetry"),
        Bad('[[package]]\nname = "nvidia-cublas-cu12"\nversion = "12.4.5.8"\n\n[[package]]\nname = "nvidia-cudnn-cu12"\n'
            'version = "9.1.0.70"\n\n[[package]]\nname = "torch"\nversion = "2.6.0"\n', file="uv.lock", id="lock"),
    )  # fmt: skip
    good = (
        Good("torch==2.2.0\nnumpy\n", file="requirements.txt"),
        Good("# nvidia-cublas-cu12==12.1.3.1\n", "a comment", file="requirements.txt"),
        Good("nvidia-ml-py\nnvidia-modelopt\n", "packages of their own", file="requirements.txt"),
        Good('[[package]]\nname = "torch"\nversion = "2.6.0+cpu"\n', file="uv.lock"),
    )

    def look(self, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts, is_library

        found = [r for r in ctx.every(Requirement) if r.manager == "pip" and is_library(r.name)]
        if not found:
            return
        first = next((r for r in found if not _NOT_MAC.search(r.marker)), found[0])
        more = f" and {len(found) - 1} more parts of CUDA" if len(found) > 1 else ", a part of CUDA,"
        locked = ctx.kind is Kind.LOCK
        fact = around_facts()["locked CUDA build" if locked else "libraries of CUDA"]
        verb = "are" if len(found) > 1 else "is"
        told = f"{verb} locked: torch is resolved to its CUDA build" if locked else f"{verb} pinned"
        ctx.report(
            self,
            first,
            f"`{first.name}`{more} {told}; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=_without_mac(fact.outcomes, first),
            effort=fact.effort,
            category=Category.OPTIONAL if locked else None,
        )
        for item in found:
            ctx.claim(item)


class OtherProject(FileRule):
    """The name belongs to another project on the package index, so that the wrong thing is installed.

    It does so on CUDA hosts too: the import fails later, or finds something else. The message says what the name is
    and what was meant.
    """

    code = "UC805"
    name = "other-project"
    triggers = (
        "apex", "nunchaku", "ignite", "whisper", "punica", "kaolin", "pytorch-quantization", "pytorch_quantization",
        "deep-gemm", "deep_gemm", "deep-ep", "deep_ep", "flash-mla", "flash_mla", "flashinfer", "cupyx",
    )  # fmt: skip
    category = Category.MANDATORY
    effort = 1
    priority = 20
    sources = ("knowledge base: around, other_projects",)
    bad = (
        Bad("torch\napex\n", file="requirements.txt"),
        Bad(
            '[project]\ndependencies = ["flashinfer>=0.1", "torch"]\n', file="pyproject.toml", id="pyproject"
        ),
        Bad("pip install deep-gemm\n", file="install.sh", id="script"),
    )
    good = (
        Good(
            "pytorch-ignite\nopenai-whisper\nflashinfer-python\n", "the right names", file="requirements.txt"
        ),
        Good("whisper @ git+https://example.org/whisper\n", "from somewhere else", file="requirements.txt"),
        Good(
            '[dependency-groups]\nfast = ["flash_mla"]\n\n[tool.uv.sources]\n'
            'flash-mla = { git = "https://example.org/FlashMLA.git" }\n',
            "from somewhere else",
            file="pyproject.toml",
        ),
        Good(
            '[tool.deptry]\nignore = ["apex", "kaolin"]\n',
            "names in another tool's table",
            file="pyproject.toml",
        ),
        Good("conda install -c conda-forge ignite\n", "conda has names of its own", file="install.sh"),
    )

    def visit_Requirement(self, item: Requirement, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import other_project, required

        found = None if item.url or item.manager != "pip" or item.locked else other_project(item.name)
        if found is None:
            return
        fact = required(item.name)
        ctx.report(
            self,
            item,
            f"`{item.name}` is {found[0]} on the package index; you may mean {found[1]}",
            symbol=item.name if fact is None else fact.symbol,
            outcomes=dict.fromkeys(Target, Outcome.CRASH),
        )


class CondaCuda(FileRule):
    """Packages of conda that are parts of CUDA, or that choose CUDA builds, keep an environment to CUDA hosts.

    `cudatoolkit`, `pytorch-cuda` and `cuda-version` select the CUDA build of everything that has one. A Mac can't
    create the environment; an AMD or Intel host gets builds that see no device, and runs on its CPU without an error.
    Keep an environment for each platform, or leave the choice to the solver. Told once in a file.
    """

    code = "UC806"
    name = "conda-cuda"
    triggers = (
        "cuda",
        "cudnn",
        "nccl",
        "gpu",
        "libcu",
        "libnv",
        "cupy",
        "cuml",
        "cudf",
        "rapids",
        "cutensor",
    )
    category = Category.MANDATORY
    effort = 1
    priority = 30
    sources = ("knowledge base: around, conda",)
    bad = (
        Bad("name: x\nchannels:\n  - pytorch\n  - nvidia\ndependencies:\n  - pytorch=2.1\n  - pytorch-cuda=12.1\n  - cuda-nvcc\n",
            file="environment.yml"),
        Bad("conda install -y pytorch cudatoolkit=11.3 -c pytorch\n", file="setup.sh", id="script"),
        Bad('[dependencies]\npython = "3.11.*"\ncuda-toolkit = "12.4.*"\n', file="pixi.toml", id="pixi"),
        Bad("FROM continuumio/miniconda3\nRUN conda install nvidia/label/cuda-12.1::cuda-toolkit\n", file="Dockerfile", id="docker"),
    )  # fmt: skip
    good = (
        Good("name: x\ndependencies:\n  - pytorch=2.1\n  - cpuonly\n", file="environment.yml"),
        Good(
            "name: x\ndependencies:\n  # - cudatoolkit=11.3\n  - pytorch\n",
            "a comment",
            file="environment.yml",
        ),
        Good("name: cuda\nchannels: [nvidia]\ndependencies: [python]\n", "names", file="environment.yml"),
        Good("pip install cudatoolkit\n", "not conda's", file="setup.sh"),
    )

    def look(self, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts, is_conda_library

        found = [r for r in ctx.every(Requirement) if r.manager == "conda" and is_conda_library(r.name)]
        if not found:
            return
        first, *rest = found
        more = f" and {len(rest)} more packages of CUDA" if rest else ""
        fact = around_facts()["CUDA packages of conda"]
        ctx.report(
            self,
            first,
            f"`{first.name}`{more} {'keep' if rest else 'keeps'} the environment to CUDA hosts; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=_without_mac(fact.outcomes, first),
            effort=fact.effort,
            category=Category.OPTIONAL if ctx.kind is Kind.LOCK else None,
        )
        for item in rest:
            ctx.claim(item)
