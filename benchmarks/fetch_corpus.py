"""Downloads the packages that are measured and unpacks their sources; nothing of them is installed or run.

    python benchmarks/fetch_corpus.py DIRECTORY

Uses the pip of the environment it runs in. One of the packages comes as a source archive only, for which pip asks its
build script for metadata: run this in the development environment, which has torch and setuptools.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = (
    "accelerate==1.15.0",
    "deepspeed==0.19.8",
    "diffusers==0.42.1",
    "peft==0.21.2",
    "timm==1.0.31",
    "transformers==5.24.0",
    "ultralytics==8.4.190",
)
"""Together 5,754 Python files, 101 MB."""


def download(requirement: str, into: Path) -> Path:
    """The package's archive, from pip's cache or the package index."""
    name = requirement.partition("==")[0]
    found = sorted(into.glob(f"{name}-*"))
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "--dest", into, requirement], check=True)
        found = sorted(into.glob(f"{name}-*"))
    return found[0]


def unpack(archive: Path, into: Path) -> int:
    """Writes the Python files of an archive below `into`; gives their number."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = [n for n in wheel.namelist() if n.endswith(".py")]
            wheel.extractall(into, names)
    else:
        with tarfile.open(archive) as tar:
            members = [m for m in tar.getmembers() if m.isfile() and m.name.endswith(".py")]
            tar.extractall(into, members, filter="data")
            names = [m.name for m in members]
    return len(names)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    archives = directory / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    total = 0
    for requirement in PACKAGES:
        archive = download(requirement, archives)
        count = unpack(archive, directory / "src" / requirement.partition("==")[0])
        total += count
        print(f"{requirement}: {count} files")
    print(f"{total} files in {directory / 'src'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
