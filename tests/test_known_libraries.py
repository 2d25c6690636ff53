"""What calls of well-known libraries give: the tables' shape, look-ups, laziness, and how they are made from releases."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from uncuda import known_results
from uncuda.rules.knowledge import _data, make_results, refresh
from uncuda.rules.knowledge.reading import GIVEN
from uncuda.rules.knowledge.results import FOLDER, libraries, results

TABLES = Path(make_results.__file__).with_name(FOLDER)
NAME = r"[A-Za-z]\w*"
LINES: dict[str, Any] = {"type": "array", "items": {"type": "string", "pattern": rf"^{NAME}( {NAME})*$"}}
METHODS: dict[str, Any] = {"type": "array", "items": {"type": "string", "pattern": rf"^({NAME}\.{NAME} ?)+$"}}


def by_given(lines: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict.fromkeys(sorted(GIVEN), lines | {"minItems": 1}),
        "additionalProperties": False,
    }


def each(required: dict[str, Any]) -> dict[str, Any]:
    entry = {
        "type": "object",
        "properties": required,
        "required": list(required),
        "additionalProperties": False,
    }
    return {"type": "object", "additionalProperties": entry, "minProperties": 1}


TEXT = {"type": "string", "minLength": 1}
GIVES = {"enum": sorted(GIVEN)}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "library": TEXT,
        "releases": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^\w+ \d[\w.]*$"},
            "minItems": 1,
        },
        "source": {"type": "string", "pattern": r"torch \d+\.\d+"},
        "alike": {
            "type": "object",
            "additionalProperties": {"type": "string", "pattern": r"^\d+\.\d+"},
            "minProperties": 1,
        },
        "makers_by_hand": {
            "type": "object",
            "additionalProperties": {"type": "string", "pattern": r"^\d+\.\d+"},
            "minProperties": 1,
        },
        "makers_of": each({"gives": GIVES, "methods": {"type": "array", "items": TEXT}, "source": TEXT}),
        "by_hand": each({"gives": GIVES, "source": {"type": "string", "pattern": r"\d+\.\d+"}}),
        "classes": by_given(LINES),
        "functions": by_given(LINES),
        "makers": {"type": "object", "additionalProperties": LINES},
        "by_convention": by_given(METHODS),
    },
    "required": ["library", "releases", "source", "classes", "functions", "makers"],
    "additionalProperties": False,
}


# -- the tables --------------------------------------------------------------------------------------------


def test_there_is_a_table_for_each_library() -> None:
    assert libraries() == set(make_results.LIBRARIES)


@pytest.mark.parametrize("library", sorted(make_results.LIBRARIES))
def test_a_table_has_its_shape(library: str) -> None:
    text = (TABLES / f"{library}.json").read_text(encoding="utf-8")
    content = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    assert text == json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    assert content["library"] == library
    assert all(r.split()[0] == make_results.LIBRARIES[library] for r in content["releases"])
    listed = [
        name
        for part in ("classes", "functions", "by_convention")
        for lines in content.get(part, {}).values()
        for line in lines
        for name in line.split()
    ]
    assert len(listed) == len(set(listed))
    assert not set(listed) & set(content.get("by_hand", {}))


@pytest.mark.parametrize(
    ("name", "gives"),
    [
        ("timm.create_model", "module"),
        ("timm.models.create_model", "module"),
        ("timm.models.vision_transformer.VisionTransformer", "module"),
        ("segmentation_models_pytorch.create_model", "module"),
        ("sentence_transformers.SentenceTransformer", "module"),
        ("torchvision.models.resnet50", "module"),
        ("torchvision.models.detection.fasterrcnn_resnet50_fpn", "module"),
        ("torchvision.models.segmentation.deeplabv3_resnet101", "module"),
        ("torchvision.models.get_model", "module"),
        ("torchvision.models.list_models", None),
        ("torchvision.models.get_model_weights", None),
        ("torchvision.io.read_image", "tensor"),
        ("torchvision.utils.make_grid", "tensor"),
        ("torchvision.transforms.functional.to_tensor", "tensor"),
        ("transformers.BertModel", "module"),
        ("transformers.models.bert.modeling_bert.BertForMaskedLM", "module"),
        ("transformers.BertModel.from_pretrained", "module"),
        ("transformers.AutoModel.from_pretrained", "module"),
        ("transformers.AutoModelForCausalLM.from_config", "module"),
        ("transformers.AutoModelForCausalLM", None),
        ("transformers.AutoTokenizer.from_pretrained", None),
        ("transformers.BertConfig.from_pretrained", None),
        ("transformers.BertModel.can_generate", None),
        ("transformers.DataCollatorForLanguageModeling", None),
        ("transformers.pipeline", None),
        ("diffusers.UNet2DConditionModel", "module"),
        ("diffusers.AutoencoderKL.from_pretrained", "module"),
        ("diffusers.AutoencoderKL.get_config_dict", None),
        ("diffusers.StableDiffusionPipeline.from_pretrained", None),
        ("timm", None),
        ("numpy.array", None),
    ],
)
def test_what_calls_give(name: str, gives: str | None) -> None:
    assert known_results.of_call(name, 1) == gives


def test_what_classes_derive_from_modules() -> None:
    for name in (
        "pytorch_lightning.LightningModule",
        "pytorch_lightning.core.LightningModule",
        "lightning.LightningModule",
        "lightning.pytorch.LightningModule",
        "transformers.PreTrainedModel",
        "transformers.modeling_utils.PreTrainedModel",
        "transformers.AutoModelForCausalLM",
        "transformers.models.auto.AutoModel",
        "diffusers.UNet2DConditionModel",
    ):
        assert known_results.is_module_base(name), name
    for name in (
        "transformers.PretrainedConfig",
        "transformers.Trainer",
        "transformers.AutoTokenizer",
        "lightning.Trainer",
        "timm.BertModel",
    ):
        assert not known_results.is_module_base(name), name


LAZY = r"""
import sys
from uncuda import known_results
from uncuda.engine import check_text
from uncuda.rules.knowledge import _data
tables = lambda: [name for name in read if name.startswith("results/")]
read, table = [], _data.table
results = sys.modules["uncuda.rules.knowledge.results"]
results.table = lambda name: read.append(name) or table(name)
assert not check_text("import timm\nnet = timm.create_model('x')\nnet.to('cpu')\n").findings
assert not tables()
assert check_text("import torch\nx = torch.zeros(3).cuda()\n").findings
assert known_results.of_call("torch.zeros", 1) == "tensor"
assert known_results.of_call("numpy.zeros", 1) is None
assert not tables()
assert check_text("import timm\nnet = timm.create_model('x')\nnet.cuda()\n").findings
assert tables() == ["results/timm.json"], read
"""


def test_only_the_table_of_a_library_that_is_used_is_read() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_all_tables_are_read_in_a_moment() -> None:
    best = 1.0
    for _ in range(5):
        _data.table.cache_clear()
        results.cache_clear()
        start = time.process_time()
        for library in libraries():
            results(library)
        best = min(best, time.process_time() - start)
    assert best < 0.03


# -- making them -------------------------------------------------------------------------------------------

SOURCES = {
    "torch-2.13.0+cpu.dist-info/METADATA": "",
    "torch/__init__.py": "from torch._tensor import Tensor\nfrom torch import nn\n",
    "torch/_tensor.py": "class Tensor: ...\n",
    "torch/nn/__init__.py": "from torch.nn.modules.module import Module\n",
    "torch/nn/modules/__init__.py": "",
    "torch/nn/modules/module.py": "class Module:\n    def to(self): ...\n    def cuda(self): ...\n",
    "timm-1.0.31.dist-info/METADATA": "",
    "timm/__init__.py": "from .net import Net, create_model\n",
    "timm/base.py": "from torch import nn\n\nclass Base(nn.Module):\n    @classmethod\n"
    "    def load(cls, path):\n        return cls(path)\n    @classmethod\n    def names(cls) -> list: ...\n",
    "timm/net.py": """
import torch
from functools import partial
from torch import Tensor, nn
from .base import Base

class Net(Base): ...
class Stubborn(nn.Module):
    def to(self, device): ...
class Below(Stubborn): ...
class Foreign(elsewhere.Thing, nn.Module): ...
class Plain: ...
class Twice(nn.Module): ...
class _Hidden(nn.Module): ...

def create_model(name, **given):
    net = Net(name)
    return net.eval()
def maybe(name):
    if name:
        return Net(name)
    return name
def annotated(x) -> Tensor: ...
def several(x) -> tuple[Tensor, Tensor]: ...
def mixed(x) -> tuple[Tensor, int]: ...
@partial(print)
def wrapped(x) -> Tensor: ...
def yielding() -> Iterator[Tensor]:
    yield 1
def taken(Net):
    return Net()
""",
    "timm/other.py": "class Twice: ...\n",
    "timm/tests/__init__.py": "",
    "timm/tests/nets.py": "from timm.net import Net\nclass Tested(Net): ...\n",
}


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(make_results, "path_of", lambda library: tmp_path / "made" / f"{library}.json")
    return tmp_path / "site"


def test_a_table_is_made_from_sources_and_again_without_a_change(
    releases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refresh.main(["--write", "--results", str(releases)]) == 1
    content = json.loads((tmp_path / "made" / "timm.json").read_bytes())
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    assert content["releases"] == ["timm 1.0.31"]
    assert "torch 2.13.0" in content["source"]
    assert content["classes"] == {"module": ["Base Net"]}
    assert content["functions"] == {
        "module": ["create_model"],
        "tensor": ["annotated"],
        "tensors": ["several"],
    }
    assert content["makers"] == {"load": []}
    capsys.readouterr()
    assert refresh.main(["--results", str(releases)]) == 0
    assert capsys.readouterr().out.startswith("timm: timm 1.0.31: 6 names, 0 new, 0 gone")


def test_a_later_release_says_what_is_gone_and_writes_nothing_unasked(
    releases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refresh.main(["--write", "--results", str(releases)])
    table = tmp_path / "made" / "timm.json"
    before = table.read_bytes()
    (releases / "timm/other.py").write_text("class Twice: ...\nclass Net: ...\n")
    assert refresh.main(["--results", str(releases)]) == 1
    assert "  gone: Net: module\n" in capsys.readouterr().out
    assert table.read_bytes() == before


def test_what_a_person_judged_stays_and_counts(releases: Path, tmp_path: Path) -> None:
    table = tmp_path / "made" / "timm.json"
    table.parent.mkdir()
    by_hand = {"alike": {"timm.net.Stubborn": "1.0.31: calls Module's"}}
    table.write_text(json.dumps(by_hand))
    refresh.main(["--write", "--results", str(releases)])
    content = json.loads(table.read_bytes())
    assert content["alike"] == by_hand["alike"]
    assert content["classes"]["module"] == ["Base Below Net Stubborn"]


def test_without_torch_nothing_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refresh.main(["--results", str(tmp_path)]) == 2
    assert "torch" in capsys.readouterr().out
