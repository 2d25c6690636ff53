"""Images, container engines and clusters that are asked for NVIDIA's devices."""

from __future__ import annotations

from uncuda.around.context import FileContext
from uncuda.around.items import Image, Option, Resource
from uncuda.around.kinds import Kind
from uncuda.rules._variables import elsewhere
from uncuda.rules.base import Bad, Category, FileRule, Good


def _split(reference: str) -> tuple[str, str]:
    """The repository of an image, without a registry that only mirrors it, and its tag."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, ""
    first, slash, rest = head.partition("/")
    if slash and first != "nvcr.io" and ("." in first or ":" in first or first == "localhost"):
        head = rest
    return head.removeprefix("library/"), tag


def _instead(field: str, ctx: FileContext) -> str:
    names = elsewhere(field, ctx.targets)
    return f"; elsewhere: {names}" if names else ""


class CudaImage(FileRule):
    """The image is built for CUDA, so that a container made from it sees no other device.

    There is no runtime of another vendor in it: torch finds no accelerator, and a program that chooses its device
    runs on the CPU without an error. Take the base image from an argument (`ARG BASE_IMAGE`), one for each
    accelerator. An image that is only the default of an argument is told as potential.
    """

    code = "UC811"
    name = "cuda-image"
    triggers = (
        "nvidia/", "nvcr.io", "cuda", "cu1", "gpu", "-nvidia", "vllm/vllm-openai", "lmsysorg/", "rapidsai/", "cupy/", "gpuci/", "pytorch/pytorch",
        "lmdeploy", "axolotl",
    )  # fmt: skip
    category = Category.MANDATORY
    effort = 1
    sources = ("knowledge base: around, images", "vendors' images: knowledge base, targets")
    bad = (
        Bad("FROM nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04\nRUN pip install torch\n", file="Dockerfile"),
        Bad("ARG TAG=24.05-py3\nFROM --platform=linux/amd64 nvcr.io/nvidia/pytorch:${TAG} AS base\nFROM base\n",
            file="docker/Dockerfile", id="stage"),
        Bad("FROM pytorch/pytorch:2.4.0-cuda12.1-cudnn9-runtime\n", file="app.dockerfile", id="pytorch"),
        Bad("ARG BASE=nvidia/cuda:12.4.0-base\nFROM ${BASE}\n", file="Dockerfile", id="argument"),
        Bad("FROM python:3.12 AS a\nCOPY --from=nvidia/cuda:12.2.0-base /usr/local/cuda /usr/local/cuda\n", file="Dockerfile", id="copy"),
        Bad("services:\n  app:\n    image: docker.io/nvidia/cuda:12.2.0-base\n", file="compose.yaml", id="compose"),
        Bad("jobs:\n  test:\n    runs-on: ubuntu-latest\n    container: pytorch/pytorch:2.1.0-cuda11.8-cudnn8-devel\n",
            file="ci.yml", id="ci"),
        Bad("test:\n  image:\n    name: nvcr.io/nvidia/cuda:12.2.0-devel\n", file=".gitlab-ci.yml", id="name"),
        Bad('{\n  // for the team\n  "image": "nvidia/cuda:12.2.0-devel-ubuntu22.04",\n}\n', file=".devcontainer/devcontainer.json", id="json"),
        Bad("docker run --rm -it nvidia/cuda:12.0.0-base bash\n", file="run.sh", id="script"),
        Bad("ARG BASE=mine/torch:2.6.0-cu124-devel\nFROM ${BASE}\n", file="Dockerfile", id="tag"),
        Bad("run:\n\tdocker run -it ghcr.io/me/bench:latest-cuda\n", file="Makefile", id="makefile"),
        Bad("singularity pull docker://nvcr.io/nvidia/pytorch:23.10-py3\n", file="get.sh", id="pull"),
    )  # fmt: skip
    good = (
        Good("FROM python:3.12-slim\n# FROM nvidia/cuda:12.1.1-base\n", "a comment", file="Dockerfile"),
        Good("FROM rocm/pytorch:latest\n", "another vendor's", file="Dockerfile"),
        Good("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n", "an argument without a default", file="Dockerfile"),
        Good("FROM tensorflow/tensorflow:2.16.1\nFROM mycompany/cuda-free\n", "not for CUDA", file="Dockerfile"),
        Good("FROM mine/torch:2.6.0-barracuda\nFROM mine/cu124:rocm6.2\n", "tags that only sound like it", file="Dockerfile"),
        Good("FROM python AS nvidia\nFROM nvidia\n", "a stage", file="Dockerfile"),
        Good("services:\n  web:\n    image: nginx\n    # image: nvidia/cuda\n", file="compose.yaml"),
        Good("name: nvidia/cuda\nuses: the image nvidia/cuda\n", "text", file="notes.yaml"),
        Good("dataset:\n  image: nvidia-cuda.png\n", "a picture", file="config.yaml"),
        Good("docker pull python:3.12\ncd nvidia/cuda\n", "a directory", file="run.sh"),
        Good('{"logo": "nvidia/cuda", "image": "a.jpg"}\n', "not an image of a container", file="config.json"),
        Good("git clone https://example.org/nvidia/cuda.git\n", "not an engine", file="get.sh"),
    )  # fmt: skip

    def visit_Image(self, item: Image, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts, is_cuda_image

        repository, tag = _split(item.reference)
        if not is_cuda_image(repository, tag):
            return
        fact = around_facts()["CUDA image"]
        ctx.report(
            self,
            item,
            f"`{repository}` is an image for CUDA{_instead('base_image', ctx)}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
        )


class NvidiaRuntime(FileRule):
    """The container engine is asked for NVIDIA's devices, and refuses where there are none.

    `--gpus`, `--runtime=nvidia` and `driver: nvidia` need NVIDIA's container toolkit on the host: without it the
    container isn't started. Other vendors' devices are handed in as device files, or by a runtime of their own: take
    the options from an argument or from an override file for each accelerator.
    """

    code = "UC812"
    name = "nvidia-runtime"
    triggers = ("gpu", "nvidia", "--nv")
    category = Category.MANDATORY
    effort = 1
    sources = ("knowledge base: around", "vendors' device files: knowledge base, targets")
    bad = (
        Bad("docker run --gpus all -it image bash\n", file="run.sh"),
        Bad("docker run --runtime=nvidia --rm image\npodman run --gpus='\"device=0\"' image\n", file="run.sh", count=2, id="runtime"),
        Bad("services:\n  app:\n    image: x\n    runtime: nvidia\n", file="docker-compose.yml", id="compose"),
        Bad("services:\n  app:\n    deploy:\n      resources:\n        reservations:\n          devices:\n"
            "            - driver: nvidia\n              count: 1\n              capabilities: [gpu]\n",
            file="compose.yaml", id="deploy"),
        Bad('{"image": "x", "runArgs": ["--gpus", "all"]}\n', file=".devcontainer/devcontainer.json", id="devcontainer"),
        Bad("nvidia-docker run image\n", file="run.sh", id="nvidia-docker"),
        Bad("singularity exec --nv image.sif python train.py\n", file="train.sh", id="singularity"),
        Bad("jobs:\n  test:\n    container:\n      image: x\n      options: --gpus all --ipc=host\n", file="ci.yml", id="options"),
    )  # fmt: skip
    good = (
        Good("docker run --device /dev/kfd --device /dev/dri image\n", "another vendor's", file="run.sh"),
        Good("docker run image --gpus 2\n", "an option of the program in it, by its value", file="run.sh"),
        Good("services:\n  app:\n    # runtime: nvidia\n    image: x\n", "a comment", file="compose.yaml"),
        Good("driver: nvidia\nname: nvidia\n", "no device", file="config.yaml"),
        Good("python train.py --gpus 4\n", "an option of a program", file="train.sh"),
        Good("trainer:\n  gpus: 4\n", "a setting of a program", file="config.yaml"),
        Good('{"runArgs": ["--network", "host"]}\n', file=".devcontainer/devcontainer.json"),
        Good("echo docker run --gpus all image\n", "text", file="run.sh"),
    )  # fmt: skip

    def visit_Option(self, item: Option, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        if item.name in ("--gpus", "--gpu") and item.program != "kubectl":
            fact = around_facts()["GPUs for a container"]
        elif item.name == "--runtime" and item.value.startswith("nvidia"):
            fact = around_facts()["NVIDIA's container runtime"]
        elif item.name == "--nv":
            fact = around_facts()["singularity --nv"]
        else:
            return
        ctx.report(
            self,
            item,
            f"`{item.name}` hands NVIDIA's devices to the container{_instead('docker_devices', ctx)}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
        )

    def visit_Resource(self, item: Resource, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        if item.name == "gpus" and ctx.kind is not Kind.YAML:
            return
        key = {
            "runtime": "NVIDIA's container runtime",
            "driver": "NVIDIA's container runtime",
            "gpus": "GPUs for a container",
        }.get(item.name)
        if key is None:
            return
        fact = around_facts()[key]
        ctx.report(
            self,
            item,
            f"`{item.name}: {item.value}` hands NVIDIA's devices to the container{_instead('docker_devices', ctx)}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
        )


class NvidiaResource(FileRule):
    """The cluster is asked for NVIDIA's devices by name: elsewhere the pod is never started.

    No node offers `nvidia.com/gpu`, so the pod stays pending, with an event that few people read. The resource's
    name belongs to the device plug-in of the vendor: make it a value of the chart or overlay. A selector of nodes
    that have a certain NVIDIA card does the same.
    """

    code = "UC813"
    name = "nvidia-resource"
    triggers = ("nvidia",)
    category = Category.MANDATORY
    effort = 1
    sources = ("knowledge base: around", "vendors' resources: knowledge base, targets")
    bad = (
        Bad("spec:\n  containers:\n    - name: x\n      resources:\n        limits:\n          nvidia.com/gpu: 1\n", file="pod.yaml"),
        Bad("spec:\n  runtimeClassName: nvidia\n", file="deploy/pod.yml", id="class"),
        Bad("spec:\n  nodeSelector:\n    nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB\n", file="job.yaml", id="selector"),
        Bad("spec:\n  nodeSelector:\n    cloud.google.com/gke-accelerator: nvidia-tesla-t4\n", file="job.yaml", id="gke"),
        Bad("{{- if .Values.gpu }}\nresources:\n  limits:\n    nvidia.com/gpu: {{ .Values.count }}\n{{- end }}\n",
            file="chart/templates/job.yaml", id="template"),
    )  # fmt: skip
    good = (
        Good("resources:\n  limits:\n    amd.com/gpu: 1\n", "another vendor's", file="pod.yaml"),
        Good(
            "tolerations:\n  - key: nvidia.com/gpu\n    operator: Exists\n",
            "a toleration does no harm",
            file="pod.yaml",
        ),
        Good("resources:\n  limits:\n    # nvidia.com/gpu: 1\n    cpu: 1\n", "a comment", file="pod.yaml"),
        Good("runtimeClassName: gvisor\n", file="pod.yaml"),
        Good("description: needs nvidia.com/gpu\n", "text", file="pod.yaml"),
    )

    def visit_Resource(self, item: Resource, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        if item.name == "runtimeClassName":
            fact = around_facts()["runtimeClassName: nvidia"]
            message = f"`runtimeClassName: {item.value}` is on NVIDIA hosts only"
        elif item.name.startswith("nvidia.com/") or "accelerator" in item.name:
            fact = around_facts()["nvidia.com/gpu"]
            message = f"`{item.name}` is a resource of NVIDIA's nodes{_instead('k8s', ctx)}"
        else:
            return
        ctx.report(self, item, message, symbol=fact.symbol, outcomes=fact.outcomes, effort=fact.effort)
