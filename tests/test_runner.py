"""Many files: one process or several, with and without a cache, and what happens when something goes wrong."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import write

from uncuda import cache as cache_module
from uncuda import runner as runner_module
from uncuda.cache import FILE_NAME, Cache
from uncuda.findings import Severity
from uncuda.pool import shared_out
from uncuda.results import FileResult, ProblemKind
from uncuda.rules.catalogue import pairs
from uncuda.runner import CHUNKS, MOST_IN_CHUNK, Examined, Job, Mode, Profile, Runner, _chunks

ALL = Profile(frozenset(code for code, _ in pairs()))
TIE = "import torch\n\nx = torch.ones({n}).cuda()\n"


def jobs(root: Path, profile: Profile = ALL) -> list[Job]:
    return [Job(p, p.name, profile) for p in sorted(root.rglob("*.py"))]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Sixty files, each with another number of ties, and some without."""
    for n in range(60):
        (tmp_path / f"m{n:02}.py").write_text("x = 1\n" if n % 7 == 3 else TIE.format(n=n) * (n % 4 + 1))
    return tmp_path


@pytest.fixture(autouse=True)
def _small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "POOL_FROM_FORK", 10)


# -- processes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode))
def test_several_processes_do_what_one_does(many: Path, mode: Mode) -> None:
    before = {p.name: p.read_bytes() for p in many.iterdir()}

    def results(workers: int) -> tuple[list[FileResult], dict[str, bytes]]:
        write(many, dict(before))
        done = Runner(mode, workers).run(jobs(many))
        return done, {p.name: p.read_bytes() for p in many.iterdir()}

    alone, after = results(1)
    together, again = results(3)
    assert together == alone
    assert again == after
    assert (after != before) == (mode is Mode.FIX)
    assert [r.display for r in alone] == sorted(before)
    assert sum(len(r.findings) + len(r.applied) for r in alone) > 60


def test_a_file_that_kills_its_process_is_told_and_the_others_are_done(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner_module.examine

    def deadly(data: bytes, job: Job, mode: Mode) -> Examined:
        if job.display in ("m12.py", "m40.py"):
            os._exit(9)
        return real(data, job, mode)

    expected = Runner(Mode.CHECK, 1).run(jobs(many))
    monkeypatch.setattr(runner_module, "examine", deadly)
    done = Runner(Mode.CHECK, 2).run(jobs(many))
    told = [r for r in done if r.problem is not None]
    assert [r.display for r in told] == ["m12.py", "m40.py"]
    assert all(
        r.problem and r.problem.kind is ProblemKind.INTERNAL and "was killed" in r.problem.message
        for r in told
    )
    rest = [r for r in done if r.problem is None]
    assert rest == [r for r in expected if r.display not in ("m12.py", "m40.py")]


def _square(n: int) -> int:
    if n == 13:
        os._exit(1)
    return n * n


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_shared_out_gives_every_item_back_once(method: str) -> None:
    items = [*range(10, 16)]
    done = dict(shared_out(_square, items, 2, method))
    assert done == {n: (None if item == 13 else item * item) for n, item in enumerate(items)}


def test_something_is_done_while_others_work() -> None:
    done: list[str] = []
    results = shared_out(_square, [1, 2, 3], 2, "fork", lambda: done.append("meanwhile"))
    assert dict(results) == {0: 1, 1: 4, 2: 9}
    assert done == ["meanwhile"]


@pytest.mark.parametrize("mode", [Mode.CHECK, Mode.DIFF])
def test_files_that_others_sift_give_the_same(
    many: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    (many / "gone.py").symlink_to(many / "nowhere.py")
    alone = Runner(mode).run(jobs(many))
    monkeypatch.setattr(runner_module, "POOL_FROM_UNREAD", 1)
    assert Runner(mode, workers=2).run(jobs(many)) == alone
    monkeypatch.setattr(runner_module, "POOL_FROM_FORK", 1)
    assert Runner(mode, workers=2).run(jobs(many)) == alone


def test_chunks_hold_each_file_once_and_the_largest_first() -> None:
    files = [(size * size, size) for size in range(500)]
    chunks = _chunks(files, 2)
    numbers = [number for chunk in chunks for number in chunk]
    assert numbers == sorted(range(500), reverse=True)
    assert all(0 < len(chunk) <= MOST_IN_CHUNK for chunk in chunks)
    enough = sum(size for size, _ in files) // (2 * CHUNKS)
    assert all(sum(n * n for n in chunk[:-1]) < enough for chunk in chunks)
    assert _chunks([], 2) == []


def test_shared_out_ends_its_workers_when_it_is_closed() -> None:
    results = shared_out(_pid_then_wait, [0, 1000, 1000], 2, "fork")
    _, first = next(results)
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < 5
    assert first is not None
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def _pid_then_wait(seconds: int) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_ctrl_c_gives_what_was_done(many: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 60
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(runner_module.Interrupted) as caught:
        Runner(Mode.CHECK, 2, progress=stop).run(jobs(many))
    assert len(caught.value.results) == 20


def test_progress_is_told_of_every_file(many: Path) -> None:
    seen: list[tuple[int, int]] = []
    Runner(Mode.CHECK, 2, progress=lambda done, total: seen.append((done, total))).run(jobs(many))
    assert seen == [(n, 60) for n in range(1, 61)]


# -- writing -----------------------------------------------------------------------------------------------


def test_a_file_that_changed_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.py"
    path.write_text(TIE.format(n=1))
    real = runner_module.examine

    def edit_meanwhile(data: bytes, job: Job, mode: Mode) -> Examined:
        out = real(data, job, mode)
        path.write_text("import torch\n\ny = torch.ones(22).cuda()\n")
        return out

    monkeypatch.setattr(runner_module, "examine", edit_meanwhile)
    [result] = Runner(Mode.FIX).run(jobs(tmp_path))
    assert path.read_text() == "import torch\n\ny = torch.ones(22).cuda()\n"
    assert result.problem and "was changed by something else meanwhile" in result.problem.message
    assert not result.applied


def test_a_write_that_fails_is_told_of_that_file(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def refuse(source: Any, target: Any) -> None:
        if str(target).endswith("m20.py"):
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    before = (many / "m20.py").read_bytes()
    done = {r.display: r for r in Runner(Mode.FIX, 2).run(jobs(many))}
    problem = done["m20.py"].problem
    assert problem and problem.message == "cannot be written: No space left on device"
    assert (many / "m20.py").read_bytes() == before
    assert done["m20.py"].findings and not done["m20.py"].applied
    assert done["m21.py"].applied
    assert not [p for p in many.iterdir() if p.suffix == ".tmp"]


def test_a_fix_that_the_encoding_cannot_hold_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_bytes("# coding: latin-1\nimport torch\n\nx = torch.ones(1).cuda()  # é\n".encode("latin-1"))
    before = path.read_bytes()
    [fine] = Runner(Mode.DIFF).run(jobs(tmp_path))
    assert fine.applied and fine.problem is None
    profile = replace(ALL, device_expr="gerät_ω()")
    [result] = Runner(Mode.FIX).run(jobs(tmp_path, profile))
    assert result.problem and result.problem.kind is ProblemKind.UNWRITABLE
    assert "its fixes were not written" in result.problem.message
    assert path.read_bytes() == before


# -- the cache ---------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory; files count as old enough to be trusted at once."""
    monkeypatch.setattr(cache_module, "_RACY_NS", 0)
    return tmp_path / ".uncuda_cache"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    write(
        root, {"a.py": TIE.format(n=1), "b.py": "x = 1\n", "c.py": "import torch\nx.cuda(\n", "d.py": b"\0"}
    )
    old = time.time() - 100
    for path in root.iterdir():
        os.utime(path, (old, old))
    return root


Check = Callable[..., list[FileResult]]


def check(root: Path, store: Path, mode: Mode = Mode.CHECK, profile: Profile = ALL) -> list[FileResult]:
    return Runner(mode, cache=Cache.load(store)).run(jobs(root, profile))


def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are examined from now on."""
    seen: list[str] = []
    real = runner_module.examine

    def noted(data: bytes, job: Job, mode: Mode) -> Examined:
        seen.append(job.display)
        return real(data, job, mode)

    monkeypatch.setattr(runner_module, "examine", noted)
    return seen


def test_a_warm_run_says_what_a_cold_one_does(
    source: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = parsed(monkeypatch)
    cold = check(source, store)
    assert seen == ["a.py", "c.py", "d.py"]
    seen.clear()
    assert check(source, store) == cold
    # What could not be read or parsed is looked at again each time.
    assert seen == ["c.py", "d.py"]


def test_a_changed_file_is_examined_again(source: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(source, store)
    (source / "a.py").write_text(TIE.format(n=1) * 2)
    seen = parsed(monkeypatch)
    assert len(check(source, store)[0].findings) == 2
    assert "a.py" in seen


@pytest.mark.parametrize(
    "other",
    [
        replace(ALL, codes=frozenset({"UC101"})),
        replace(ALL, torch_floor=(2, 4)),
        replace(ALL, device_expr="get_device()"),
        replace(ALL, require_reason=True),
        replace(ALL, fixable=frozenset()),
    ],
)
def test_other_settings_have_their_own_entries(
    source: Path, store: Path, monkeypatch: pytest.MonkeyPatch, other: Profile
) -> None:
    check(source, store)
    seen = parsed(monkeypatch)
    expected = Runner(Mode.CHECK).run(jobs(source, other))
    seen.clear()
    assert check(source, store, profile=other) == expected
    assert "a.py" in seen


def test_severity_needs_no_new_check(source: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(source, store)
    seen = parsed(monkeypatch)
    other = replace(ALL, severity=Severity.INFO)
    assert check(source, store, profile=other)[0].findings
    assert "a.py" not in seen


def test_fixes_come_from_the_rules_never_from_the_cache(source: Path, store: Path) -> None:
    check(source, store)
    file = store / FILE_NAME
    text = file.read_text()
    assert ".to(" in text
    file.write_text(text.replace(".to(", ".evil("))
    [first, *_] = check(source, store, Mode.FIX)
    assert first.applied
    assert ".evil(" not in (source / "a.py").read_text()


_BAD_CACHES: dict[str, bytes | Callable[[Any], Any]] = {
    "empty": b"",
    "not JSON": b"\x80\x04\x95cposix\nsystem\n",
    "deep": b"[" * 100_000,
    "a number": b"1",
    "a list": b"[]",
    "other stamp": lambda data: {**data, "stamp": "x"},
    "no profiles": lambda data: {"stamp": data["stamp"]},
    "profiles a list": lambda data: {**data, "profiles": []},
    "profile a list": lambda data: {**data, "profiles": {key: [] for key in data["profiles"]}},
    "rows a number": lambda data: _rows(data, lambda row: 1),
    "rows short": lambda data: _rows(data, lambda row: row[:3]),
    "findings a text": lambda data: _rows(data, lambda row: [*row[:4], "x"]),
    "finding short": lambda data: _rows(data, lambda row: [*row[:4], [[1, 2]]]),
    "code a number": lambda data: _findings(data, 0, 1),
    "start negative": lambda data: _findings(data, 3, -1),
    "start huge": lambda data: _findings(data, 3, 10**30),
    "category unknown": lambda data: _findings(data, 6, "__import__('os')"),
    "outcomes a list": lambda data: _findings(data, 8, ["cpu"]),
    "outcome unknown": lambda data: _findings(data, 8, {"cpu": "boom"}),
    "fix a text": lambda data: _findings(data, 9, "fix"),
    "edits reversed": lambda data: _findings(data, 9, ["t", [[9, 3, "x"]], "safe", None]),
    "places wrong": lambda data: _findings(data, 10, [0, 0]),
}


def _rows(data: Any, change: Callable[[Any], Any]) -> Any:
    return {
        **data,
        "profiles": {k: {p: change(row) for p, row in v.items()} for k, v in data["profiles"].items()},
    }


def _findings(data: Any, index: int, value: object) -> Any:
    def change(row: Any) -> Any:
        return [*row[:4], [[*f[:index], value, *f[index + 1 :]] for f in row[4]]]

    return _rows(data, change)


@pytest.mark.parametrize("name", _BAD_CACHES)
def test_a_broken_or_poisoned_cache_is_passed_over(source: Path, store: Path, name: str) -> None:
    expected = check(source, store)
    file = store / FILE_NAME
    data = json.loads(file.read_bytes())
    bad = _BAD_CACHES[name]
    file.write_bytes(bad if isinstance(bad, bytes) else json.dumps(bad(data)).encode())
    assert check(source, store) == expected


def test_a_directory_that_is_not_ours_is_left_alone(source: Path, store: Path) -> None:
    store.mkdir()
    (store / "precious.txt").write_text("mine")
    check(source, store)
    assert [p.name for p in store.iterdir()] == ["precious.txt"]


def test_a_link_in_its_place_is_left_alone(source: Path, store: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    store.symlink_to(elsewhere)
    check(source, store)
    assert [p.name for p in elsewhere.iterdir()] == ["CACHEDIR.TAG"]


def test_it_keeps_itself_out_of_git_and_backups(source: Path, store: Path) -> None:
    check(source, store)
    assert (store / ".gitignore").read_text() == "*\n"
    assert (store / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_a_cache_that_cannot_be_written_is_no_failure(
    source: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("uncuda.writing.write_atomically", refuse)
    assert check(source, store)[0].findings
    assert not (store / FILE_NAME).exists()
