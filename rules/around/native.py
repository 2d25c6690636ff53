"""Native sources for CUDA, and the build files that compile them."""

from __future__ import annotations

from uncuda.around.context import FileContext
from uncuda.around.items import Assembler, BuildCommand, Native
from uncuda.rules.base import Bad, Category, FileRule, Good


class CudaSource(FileRule):
    """A source file is CUDA C++ or PTX: it can be compiled for NVIDIA's devices only.

    On ROCm plain CUDA C++ goes through hipify, which torch's CUDAExtension does by itself. Everywhere else the
    kernels have to be written anew, or stand beside a torch path that serves the rest. Told once a file, with the
    number of kernels and lines; a header without a kernel is a part of the files that include it.
    """

    code = "UC841"
    name = "cuda-source"
    triggers = ("__global__", "__device__", "<<<", "cuda", "cub/", "cutlass/", "cute/", ".entry", ".version")
    category = Category.MANDATORY
    effort = 7
    sources = ("knowledge base: around",)
    bad = (
        Bad("#include <cuda_runtime.h>\n\n__global__ void add(float* x) { x[threadIdx.x] += 1; }\n\n"
            "__global__ void mul(float* x) { x[threadIdx.x] *= 2; }\n", file="csrc/ops.cu"),
        Bad("template <typename T>\n__global__ void k(T* x) {}\n", file="csrc/ops.cuh", id="header"),
        Bad("#include <cuda_runtime.h>\nvoid f() { cudaMalloc(nullptr, 3); }\n", file="csrc/launch.cu", id="host"),
        Bad("#ifdef USE_ROCM\n#include <hip/hip_runtime.h>\n#endif\n__global__ void k() {}\n", file="csrc/both.cu", id="hip"),
        Bad(".version 7.0\n.target sm_80\n.visible .entry add() { ret; }\n", file="kernels/add.ptx", id="ptx"),
    )  # fmt: skip
    good = (
        Good(
            "// __global__ void add();\n/* cudaMalloc() */\nint main() { return 0; }\n",
            "comments",
            file="csrc/a.cu",
        ),
        Good("__device__ float f(float x) { return x; }\n", "a part of others", file="csrc/f.cuh"),
        Good('const char* s = "__global__";\nint x;\n', "text", file="csrc/s.cu"),
        Good("", "empty", file="csrc/empty.cu"),
        Good("int f();\n", "nothing of CUDA", file="csrc/plain.cuh"),
    )

    def visit_Native(self, item: Native, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        key = (
            "PTX" if item.language == "PTX" else f"CUDA kernels{' with HIP branches' if item.ported else ''}"
        )
        fact = around_facts()[key]
        kernels = f"{item.kernels} kernel{'' if item.kernels == 1 else 's'} in " if item.kernels else ""
        lines = f"{item.lines} line{'' if item.lines == 1 else 's'}"
        ctx.report(
            self,
            item,
            f"{kernels}{lines} of {item.language}; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
        )


class InlinePtx(FileRule):
    """Inline PTX in a native source is assembler for NVIDIA's devices: hipify leaves it as it is.

    It stops the port to ROCm that the rest of the file may survive. Use intrinsics or plain C++ under a condition on
    the platform. Told once a file, with how much there is.
    """

    code = "UC842"
    name = "inline-ptx"
    triggers = ("asm",)
    category = Category.MANDATORY
    effort = 7
    sources = ("knowledge base: around",)
    bad = (
        Bad('__device__ void f() {\n  asm volatile("mov.u32 %0, %laneid;" : "=r"(x));\n  asm("bar.sync 0;");\n}\n', file="a.cuh"),
    )  # fmt: skip
    good = (
        Good("// asm volatile()\nint asm_count(int x);\n", "a comment, a name", file="a.cuh"),
        Good("int plasm(int x) { return x; }\n", "a name", file="a.cu"),
    )

    def visit_Assembler(self, item: Assembler, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        fact = around_facts()["PTX"]
        pieces = f"{item.count} piece{'' if item.count == 1 else 's'}"
        ctx.report(
            self,
            item,
            f"{pieces} of inline PTX; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
        )


class CudaBuild(FileRule):
    """The build asks for a CUDA toolchain, and stops where there is none.

    Ask first (`check_language(CUDA)`), make it an option, and give the other vendors a branch:
    `enable_language(HIP)`, a SYCL or AscendC toolchain, or no kernels at all. What stands under a condition about
    CUDA is told as potential, and so is a package that isn't REQUIRED.
    """

    code = "UC843"
    name = "cuda-toolchain"
    triggers = ("CUDA", "CUDNN", "NCCL", "TensorRT", "CUTLASS", "cuda_add_")
    category = Category.MANDATORY
    effort = 3
    sources = ("knowledge base: around",)
    bad = (
        Bad("cmake_minimum_required(VERSION 3.18)\nproject(x LANGUAGES CXX CUDA)\nfind_package(CUDAToolkit REQUIRED)\n",
            file="CMakeLists.txt", count=2),
        Bad("option(WITH_CUDA \"kernels\" ON)\nif(WITH_CUDA)\n  enable_language(CUDA)\nendif()\n", file="CMakeLists.txt", id="option"),
        Bad("find_package(CUDA 11 REQUIRED)\ncuda_add_library(ops ops.cu)\n", file="cmake/ops.cmake", count=2, id="old"),
        Bad('cmake -B build -DGGML_CUDA=ON -DOTHER=1\nCMAKE_ARGS="-DGGML_CUDA=on" pip install x\n'
            "export CMAKE_ARGS='-DUSE_CUDA=1'\n", file="build.sh", count=3, id="script"),
    )  # fmt: skip
    good = (
        Good("project(x LANGUAGES CXX)\n# enable_language(CUDA)\n", "a comment", file="CMakeLists.txt"),
        Good("include(CheckLanguage)\ncheck_language(CUDA)\n", "only asked", file="CMakeLists.txt"),
        Good("find_package(Torch REQUIRED)\nenable_language(HIP)\n", "others", file="CMakeLists.txt"),
        Good('message(STATUS "find_package(CUDA) failed")\n', "text", file="CMakeLists.txt"),
        Good("set(CMAKE_CUDA_ARCHITECTURES 80)\n", "only a value", file="CMakeLists.txt"),
        Good("cmake -DUSE_CUDA=OFF -DWITH_CUDA=0\necho -DUSE_CUDA=ON\n", "off, text", file="build.sh"),
    )

    def visit_BuildCommand(self, item: BuildCommand, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        fact = around_facts()["CMake: CUDA"]
        what = self._asks(item, fact.names)
        if what is None:
            return
        optional = item.name == "find_package" and "REQUIRED" not in item.arguments
        ctx.report(
            self,
            item,
            f"`{what}` needs a CUDA toolchain; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
            handled=optional,
        )

    @staticmethod
    def _asks(item: BuildCommand, packages: tuple[str, ...]) -> str | None:
        arguments = item.arguments
        if item.name == "find_package" and arguments and arguments[0] in packages:
            return f"find_package({arguments[0]})"
        if item.name == "enable_language" and "CUDA" in arguments:
            return "enable_language(CUDA)"
        if item.name == "-D":
            return f"-D{'='.join(arguments)}"
        if item.name == "project" and "CUDA" in arguments[1:]:
            return "project(… CUDA)"
        if item.name in ("cuda_add_library", "cuda_add_executable", "cuda_compile"):
            return item.name
        return None
