"""The tables of what libraries give: their shape, how they are made from sources, look-ups, what loading costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from uncuda import known_results
from uncuda.rules import knowledge
from uncuda.rules.knowledge import _data, make_results, reading
from uncuda.rules.knowledge import results as tables
from uncuda.rules.knowledge.reading import Sources, read
from uncuda.rules.knowledge.wheels import Release

FOLDER = Path(knowledge.__file__).parent / tables.FOLDER
FILES = sorted(FOLDER.iterdir())

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
LINES: dict[str, Any] = {"type": "array", "items": {"type": "string", "maxLength": 120}}
ONE = {"enum": ["tensor", "tensors", "module", "modules", "movable", "same", "batches"]}
GIVES = {"anyOf": [ONE, {"type": "string", "pattern": r"^(each )?((tensor|module|\?) ?){1,4}$"}]}
WORDS = {"type": "object", "propertyNames": GIVES, "additionalProperties": LINES}


def record(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


HAND = record(
    {
        "gives": GIVES,
        "arguments": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        "positional": {"type": "integer", "minimum": 0},
        "unless": {"type": "array", "items": TEXT},
        "source": TEXT,
    },
    ["gives", "source"],
)
MAKERS = record(
    {"methods": {"type": "array", "items": TEXT, "minItems": 1}, "gives": GIVES, "source": TEXT},
    ["methods", "gives", "source"],
)
SECTION = record(
    {
        "classes": WORDS,
        "functions": WORDS,
        "by_convention": WORDS,
        "makers": {"type": "object", "additionalProperties": LINES},
    },
    [],
)
SCHEMA = record(
    {
        "library": TEXT,
        "releases": {"type": "array", "items": {"type": "string", "pattern": r"^\S+ \d\S*$"}, "minItems": 1},
        "source": TEXT,
        "alike": {"type": "object", "additionalProperties": TEXT},
        "makers_of": {"type": "object", "additionalProperties": MAKERS},
        "by_hand": {"type": "object", "additionalProperties": HAND},
        "unless": {"type": "array", "items": TEXT},
        "methods": record({"tensor": WORDS, "module": WORDS}, ["tensor", "module"]),
        "sections": {"type": "object", "additionalProperties": SECTION, "minProperties": 1},
    },
    ["library", "source"],
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_table_has_its_shape(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    assert content["library"] == path.stem
    assert "releases" in content or "sections" not in content
    for name, row in content.get("sections", {}).items():
        assert name.partition(".")[0] == path.stem
        listed = [
            w for part in ("classes", "functions") for v in row.get(part, {}).values() for w in _words(v)
        ]
        assert len(listed) == len(set(listed)), "a name gives one thing"
    for name in content.get("by_hand", {}):
        assert name.partition(".")[0] == path.stem


def _words(lines: list[str]) -> list[str]:
    return " ".join(lines).split()


def test_there_is_a_table_for_each_library_that_is_read() -> None:
    by_hand = {path.stem for path in FILES if "sections" not in json.loads(path.read_text(encoding="utf-8"))}
    assert by_hand == {"copy", "tqdm"}
    assert {path.stem for path in FILES} - by_hand == set(make_results.LIBRARIES)
    assert {path.stem for path in FILES} == set(tables.libraries())


def test_what_is_by_convention_is_marked_with_its_source() -> None:
    for path in FILES:
        content = json.loads(path.read_text(encoding="utf-8"))
        marked = any("by_convention" in row for row in content.get("sections", {}).values())
        assert marked == ("makers_of" in content), path.stem


# -- against torch -----------------------------------------------------------------------------------------


def test_torchs_table_is_what_its_sources_say() -> None:
    import torch

    site = Path(torch.__file__).parent.parent
    [(_, content)] = [item for item in make_results.made([site]) if item[0] == "torch"]
    assert content == make_results.stored("torch"), (
        "python -m uncuda.rules.knowledge.refresh --results … --write"
    )


def test_torchs_classes_are_what_the_table_says() -> None:
    import torch

    found = tables.results("torch")
    assert found is not None
    wanted = {"module": torch.nn.Module, "tensor": torch.Tensor}
    seen = 0
    for name, gives in found.sections["torch.nn.*"].classes.items():
        cls = getattr(torch.nn, name, None)
        if cls is not None:
            seen += 1
            assert issubclass(cls, wanted[gives]), name
            if gives == "module":
                assert cls.cuda is torch.nn.Module.cuda and cls.to is torch.nn.Module.to, name
    assert seen > 150
    public = [
        n
        for n, c in vars(torch.nn).items()
        if isinstance(c, type) and issubclass(c, torch.nn.Module) and n[0] != "_"
    ]
    assert [n for n in public if known_results.of_class(f"torch.nn.{n}") != "module"] == []


def test_torchs_methods_exist() -> None:
    import torch

    found = tables.results("torch")
    assert found is not None
    assert [m for m in found.methods["tensor"] if not hasattr(torch.Tensor, m)] == []
    assert [m for m in found.methods["module"] if not hasattr(torch.nn.Module, m)] == []
    for name in ("torch", "torch.nn.functional", "torch.fft", "torch.linalg", "torch.special"):
        module = torch
        for part in name.split(".")[1:]:
            module = getattr(module, part)
        gone = [f for f in found.sections[name].functions if not hasattr(module, f)]
        # torch takes unique_dim from C's functions and hides it; others of the stubs are no functions of C's either.
        shown = [f for f in gone if hasattr(torch._C._VariableFunctions, f) and f != "unique_dim"]
        assert shown == [], name


EXECUTED = [
    ("torch.block_diag", "torch.block_diag(x, x)"),
    ("torch.cdist", "torch.cdist(x, x)"),
    ("torch.chain_matmul", "torch.chain_matmul(x, x)"),
    ("torch.tensordot", "torch.tensordot(x, x)"),
    ("torch.norm", "torch.norm(x)"),
    ("torch.linalg.multi_dot", "torch.linalg.multi_dot([x, x])"),
    ("torch.where", "torch.where(x > 0, x, x)"),
    ("torch.max", "torch.max(x)"),
    ("torch.Tensor.max", "x.max()"),
    ("torch.Tensor.type", "x.type(torch.float64)"),
    ("torch.Tensor.unflatten", "x.unflatten(0, (2, 1))"),
    ("torch.Tensor.new", "x.new()"),
    ("torch.autograd.Variable", "torch.autograd.Variable(x)"),
    ("torch.FloatTensor", "torch.FloatTensor(2)"),
    ("torch.broadcast_tensors", "torch.broadcast_tensors(x, x)"),
]


@pytest.mark.parametrize(("name", "code"), EXECUTED, ids=[name for name, _ in EXECUTED])
def test_rows_by_hand_give_what_they_say(name: str, code: str) -> None:
    import torch

    found = tables.results("torch")
    assert found is not None
    value = eval(code, {"torch": torch, "x": torch.ones(2, 2)})
    match found.by_hand[name].gives:
        case "tensor":
            assert isinstance(value, torch.Tensor)
        case "tensors":
            assert value and all(isinstance(v, torch.Tensor) for v in value)
        case other:
            pytest.fail(other)


# -- look-ups ----------------------------------------------------------------------------------------------

CALLS = [
    ("torch.ones", 1, "tensor"),
    ("torch.topk", 2, "tensors"),
    ("torch.max", 1, "tensor"),
    ("torch.max", 2, None),
    ("torch.where", 3, "tensor"),
    ("torch.where", 1, None),
    ("torch.load", 1, None),
    ("torch.cuda.ones", 1, None),
    ("torch.nn.Linear", 2, "module"),
    ("torch.nn.modules.linear.Linear", 2, "module"),
    ("torch.nn.Sequential", 2, "modules"),
    ("torch.nn.Parameter", 1, "tensor"),
    ("torch.nn.functional.softmax", 1, "tensor"),
    ("torch.nn.functional.max_pool2d", 2, None),
    ("torch.nn.utils.rnn.pack_sequence", 1, "movable"),
    ("torch.fft.fft", 1, "tensor"),
    ("torch.linalg.svd", 1, "tensors"),
    ("torchvision.models.resnet18", 0, "module"),
    ("torchvision.models.list_models", 0, None),
    ("torchvision.models.detection.fasterrcnn_resnet50_fpn", 0, "module"),
    ("torchvision.transforms.functional.to_tensor", 1, "tensor"),
    ("timm.create_model", 1, "module"),
    ("timm.models.resnet50", 0, "module"),
    ("timm.models.resnet.resnet50", 0, "module"),
    ("timm.list_models", 0, None),
    ("transformers.AutoModel.from_pretrained", 1, "module"),
    ("transformers.AutoModelForCausalLM.from_config", 1, "module"),
    ("transformers.AutoModel", 0, None),
    ("transformers.AutoTokenizer.from_pretrained", 1, None),
    ("transformers.AutoConfig.from_pretrained", 1, None),
    ("transformers.BertModel.from_pretrained", 1, "module"),
    ("transformers.BertModel", 1, "module"),
    ("transformers.models.bert.modeling_bert.BertModel", 1, "module"),
    ("transformers.TFBertModel", 1, None),
    ("transformers.FlaxBertModel.from_pretrained", 1, None),
    ("transformers.DataCollatorForLanguageModeling", 1, None),
    ("transformers.BertModel.register_for_auto_class", 0, None),
    ("diffusers.AutoencoderKL.from_pretrained", 1, "module"),
    ("diffusers.UNet2DConditionModel", 1, "module"),
    ("diffusers.StableDiffusionPipeline.from_pretrained", 1, None),
    ("diffusers.DDPMScheduler.from_pretrained", 1, None),
    ("peft.get_peft_model", 2, "module"),
    ("peft.LoraConfig", 2, None),
    ("open_clip.create_model_and_transforms", 1, "module ? ?"),
    ("sentence_transformers.SentenceTransformer", 1, "module"),
    ("segmentation_models_pytorch.Unet", 1, "module"),
    ("segmentation_models_pytorch.create_model", 1, "module"),
    ("lpips.LPIPS", 1, "module"),
    ("kornia.filters.gaussian_blur2d", 3, "tensor"),
    ("monai.networks.nets.UNet", 3, "module"),
    ("torchmetrics.Accuracy", 1, "module"),
    ("torchaudio.functional.resample", 3, "tensor"),
    ("torch_geometric.nn.GCNConv", 2, "module"),
    ("torch_geometric.data.Data", 2, "movable"),
    ("numpy.ones", 1, None),
    ("ones", 1, None),
]


@pytest.mark.parametrize(("name", "arguments", "gives"), CALLS, ids=[f"{n}-{a}" for n, a, _ in CALLS])
def test_what_a_call_gives(name: str, arguments: int, gives: str | None) -> None:
    assert known_results.of_call(name, arguments) == gives


def test_some_arguments_change_what_a_call_gives() -> None:
    assert known_results.of_call("torch.nn.functional.relu", 2, ["out"]) is None
    assert known_results.of_call("transformers.AutoModel.from_pretrained", 2, ["output_loading_info"]) is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("torch.nn.Module", True),
        ("torch.nn.Linear", True),
        ("torch.nn.Parameter", False),
        ("lightning.LightningModule", True),
        ("lightning.pytorch.LightningModule", True),
        ("pytorch_lightning.LightningModule", True),
        ("pytorch_lightning.core.LightningModule", True),
        ("pytorch_lightning.Trainer", False),
        ("transformers.PreTrainedModel", True),
        ("transformers.modeling_utils.PreTrainedModel", True),
        ("transformers.LlamaForCausalLM", True),
        ("transformers.Trainer", False),
        ("transformers.AutoModelForCausalLM", True),
        ("transformers.AutoTokenizer", False),
        ("diffusers.ModelMixin", True),
        ("timm.create_model", False),
        ("torchmetrics.Metric", True),
        # It takes a random generator along in `to` that `cuda` leaves where it is.
        ("kornia.augmentation.RandomAffine", False),
    ],
)
def test_which_classes_make_a_class_a_module(name: str, is_one: bool) -> None:
    assert known_results.is_module_base(name) == is_one


# -- reading -----------------------------------------------------------------------------------------------

LIBRARY = {
    "__init__.py": "from lib.nets import *\nfrom lib.nets import Net as Alias\nfrom .ops import *\n",
    "nets.py": """
import torch
from torch import nn
from lib.deep.base import Base, Mover, Lied
from other import Elsewhere

__all__ = ["Net"]


class Net(Base):
    @classmethod
    def load(cls, path) -> "Net":
        return cls()

    @classmethod
    def make(cls):
        net = cls()
        net = net.eval()
        return net

    @classmethod
    def config(cls):
        return {}


class Stack(nn.Sequential): ...
class Weight(nn.Parameter): ...
class Own(Base):
    def cuda(self): return self
class OfOwn(Own): ...
class OfMover(Mover): ...
class Far(Elsewhere, nn.Module): ...
class Plain: ...
class Dummy(metaclass=DummyObject): ...
Same = Net
nothing = None


def net(): return Net()
def sure() -> nn.Module: return g()
def maybe(x): return Net() if x else Stack()
def named():
    model = Net()
    model.weight = 1
    model = model.eval()
    return model
def rebound(x):
    model = Net()
    for model in x: pass
    return model
def shadow(Net): return Net()
def other(): return Plain()
def none(): return None
def pair():
    model = Net()
    return model, 1
def some(x):
    if x:
        return Net()
""",
    "ops.py": """
from typing import List, Optional, Tuple, Union, overload, TypeVar
import contextlib
import functools
import torch
from torch import Tensor, nn

T = TypeVar("T", bound=nn.Module)


def keep(f): return f
def wrap(f):
    @functools.wraps(f)
    def inner(*args): return f(*args)
    return inner
def named(name):
    def deco(f): return f
    return deco
def change(f):
    def inner(*args): return [f(*args)]
    return inner


def one(x) -> Tensor: ...
def text(x) -> "torch.Tensor": ...
def some(x) -> Optional[Tensor]: ...
def new(x) -> Tensor | None: ...
def two(x) -> Tuple[Tensor, Tensor]: ...
def list_of(x) -> List[Tensor]: ...
def mixed(x) -> Tuple[Tensor, int]: ...
def union(x) -> Union[Tensor, int]: ...
def same(m: T) -> T: ...
@keep
def kept(x) -> Tensor: ...
@wrap
def wrapped(x) -> Tensor: ...
@named("a")
def called(x) -> Tensor: ...
@change
def changed(x) -> Tensor: ...
@contextlib.contextmanager
def managed(x) -> Tensor: ...
async def later(x) -> Tensor: ...
def each(x):
    yield one(x)
    return one(x)
@overload
def over(x: int) -> Tensor: ...
@overload
def over(x: str) -> int: ...
def over(x) -> Tensor: ...
def sized() -> int: ...
def clash() -> Tensor: ...
""",
    "deep/__init__.py": "",
    "deep/base.py": """
from torch.nn import Module as M


class Base(M): ...
class Mover(M):
    def to(self, *a): return super().to(*a)
    def cuda(self, *a): return super().cuda(*a)
class Lied: ...
def clash(): return 1
""",
    "tests/__init__.py": "",
    "tests/test_it.py": "def tested() -> int: ...\n",
}
TORCH = {
    "__init__.py": "from torch._tensor import Tensor\nfrom torch import nn\n",
    "_tensor.py": "class Tensor:\n    def cuda(self): ...\n    def to(self): ...\n",
    "nn/__init__.py": "from .modules.module import Module\nfrom .parameter import Parameter\n"
    "from .modules.container import Sequential\n",
    "nn/parameter.py": "import torch\n\n\nclass Parameter(torch.Tensor):\n    def __new__(cls): ...\n",
    "nn/modules/__init__.py": "",
    "nn/modules/module.py": "class Module:\n    def cuda(self): ...\n    def to(self): ...\n",
    "nn/modules/container.py": "from .module import Module\n\n\nclass Sequential(Module): ...\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    for package, files in (("lib", LIBRARY), ("torch", TORCH)):
        for name, text in files.items():
            path = tmp_path / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    release = Release(tmp_path)
    return Sources({"lib": release, "torch": release}, alike=["lib.deep.base.Mover"])


def gives(found: reading.Reading) -> dict[str, str]:
    return {name: " or ".join(sorted({g for _, g in kinds})) for name, kinds in found.names.items()}


def test_classes_are_told_by_all_their_bases(sources: Sources) -> None:
    told = gives(read(sources, "lib"))
    assert told["Net"] == told["Alias"] == told["Same"] == told["Base"] == told["Stack"] == "module"
    assert told["Weight"] == "tensor"
    assert told["OfMover"] == "module", "its moves were read"
    assert told["Own"] == told["OfOwn"] == told["Far"] == told["Plain"] == told["Lied"] == ""
    assert "Dummy" not in told and "nothing" not in told and "tested" not in told


def test_functions_are_told_by_annotation_or_what_they_return(sources: Sources) -> None:
    told = gives(read(sources, "lib"))
    tensors = {n for n in told if told[n] == "tensor" and n[0].islower()}
    assert tensors == {"one", "text", "new", "kept", "wrapped", "called"}
    assert {n for n in told if told[n] == "tensors"} == {"two", "list_of"}
    assert {n for n in told if told[n] == "module" and n[0].islower()} == {"net", "sure", "maybe", "same"}
    assert told["pair"] == "module ?" and told["mixed"] == "tensor ?"
    # Two definitions, of which one gives something else.
    assert told["clash"] == " or tensor"
    assert told["some"] == "module or tensor"


def test_class_methods_that_make_an_object_of_their_class(sources: Sources) -> None:
    found = read(sources, "lib")
    assert found.makers["load"]["Net"] == found.makers["make"]["Net"] == "module"
    assert found.makers["config"]["Net"] == ""


def test_why_a_class_is_left_out(sources: Sources) -> None:
    told = read(sources, "lib").left_out
    assert told["lib.nets.Own has its own cuda"] == 2
    assert told["base other.Elsewhere"] == 1


def test_a_table_holds_what_all_definitions_agree_on(sources: Sources) -> None:
    section = make_results._section([read(sources, "lib")], only_exported=False)
    assert section["classes"] == {
        "module": ["Alias Base M Mover Net OfMover Same Stack"],
        "tensor": ["Weight"],
    }
    listed = {w for lines in section["functions"].values() for line in lines for w in line.split()}
    assert "clash" not in listed and "some" not in listed and "over" not in listed
    assert section["makers"] == {"load": [], "make": []}
    exported = make_results._section([read(sources, "lib")], only_exported=True)
    assert exported["classes"] == {"module": ["Alias Net"]}


def test_classes_whose_makers_a_person_has_judged(sources: Sources) -> None:
    row = {"methods": ["from_it"], "gives": "module", "source": "read"}
    told = make_results._by_convention({"lib.deep.base.Base": row}, [sources])
    assert told == {"by_convention": {"module": ["Net.from_it OfOwn.from_it Own.from_it"]}}


def test_a_name_that_stands_for_two_things_is_listed_where_it_is_exported(sources: Sources) -> None:
    found = make_results._where_exported(sources, "lib", read(sources, "lib"))
    assert found == {"lib": {"functions": {"tensor": ["clash some"]}}}


def reading_of(**names: str) -> reading.Reading:
    kinds = {name: {("function", gives)} for name, gives in names.items()}
    return reading.Reading(kinds, {}, Counter(), set())


def test_the_newest_release_decides_unless_an_older_one_says_something_else() -> None:
    old = reading_of(typed="", gone="tensor", same="module", other="tensors")
    new = reading_of(typed="tensor", same="module", other="tensor", less="")
    section = make_results._section([old, new], only_exported=False)
    assert section["functions"] == {"module": ["same"], "tensor": ["gone typed"]}


# -- speed -------------------------------------------------------------------------------------------------


def loads(tmp_path: Path, code: str) -> str:
    """The tables that a check of `code` reads."""
    path = tmp_path / "x.py"
    path.write_text(code, encoding="utf-8")
    script = (
        "import sys\nfrom uncuda.cli import main\n"
        "try:\n    main(['check', '--no-cache', '--isolated', sys.argv[1]])\nexcept SystemExit:\n    pass\n"
        "m = sys.modules.get('uncuda.rules.knowledge.results')\n"
        "print('TABLES', m is not None and m.results.cache_info().currsize)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    return next(line for line in done.stdout.splitlines() if line.startswith("TABLES"))


def test_a_run_without_findings_reads_no_table(tmp_path: Path) -> None:
    assert (
        loads(tmp_path, "import torch\nimport timm\n\nm = timm.create_model('a').to('cpu')\n")
        == "TABLES False"
    )


def test_a_run_reads_the_tables_of_what_it_asks_for(tmp_path: Path) -> None:
    code = "import timm\nimport transformers\n\ntimm.create_model('a').cuda()\n"
    assert loads(tmp_path, code) == "TABLES 1"


def test_all_tables_are_read_in_a_moment() -> None:
    best = 1.0
    for _ in range(5):
        _data.table.cache_clear()
        tables.results.cache_clear()
        start = time.process_time()
        for library in tables.libraries():
            assert tables.results(library) is not None
        best = min(best, time.process_time() - start)
    assert best < 0.015
