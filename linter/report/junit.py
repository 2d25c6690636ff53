"""JUnit XML: a suite a file, a failed case a finding."""

from __future__ import annotations

from xml.etree import ElementTree

from uncuda.report.ansi import Style, visible
from uncuda.results import Run, grouped_outcomes


def _clean(text: str) -> str:
    # XML 1.0 has no way to write most control characters, nor lone surrogates and U+FFFE, U+FFFF.
    return visible(text).replace("\ufffe", "<U+FFFE>").replace("\uffff", "<U+FFFF>")


def render(run: Run, style: Style) -> str:
    """One document; a clean run has one passing case, since an empty file fails in many CI systems."""
    root = ElementTree.Element("testsuites", name="uncuda")
    tests = failures = errors = 0
    for file in run.files:
        if not file.findings and file.problem is None:
            continue
        name = _clean(file.display)
        broken = 1 if file.problem else 0
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=name,
            package="uncuda",
            tests=str(len(file.findings) + broken),
            failures=str(len(file.findings)),
            errors=str(broken),
            disabled="0",
            skipped="0",
        )
        if file.problem is not None:
            case = ElementTree.SubElement(suite, "testcase", name="uncuda", classname=name)
            error = ElementTree.SubElement(case, "error", message=_clean(file.problem.message))
            error.set("type", file.problem.kind.value)
        for placed in file.findings:
            finding = placed.finding
            case = ElementTree.SubElement(
                suite,
                "testcase",
                name=f"uncuda.{finding.code}",
                classname=name,
                file=name,
                line=str(placed.start.row),
                column=str(placed.start.column),
            )
            failure = ElementTree.SubElement(case, "failure", message=_clean(finding.message))
            failure.set("type", placed.severity.value)
            outcomes = "; ".join(
                f"{outcome.value}: {', '.join(t.value for t in targets)}"
                for outcome, targets in grouped_outcomes(finding, file.targets)
            )
            failure.text = (
                f"line {placed.start.row}, column {placed.start.column}: {_clean(finding.message)}"
                + (f" ({outcomes})" if outcomes else "")
            )
        tests += len(file.findings) + broken
        failures += len(file.findings)
        errors += broken
    if not len(root):
        suite = ElementTree.SubElement(
            root, "testsuite", name="uncuda", tests="1", failures="0", errors="0", disabled="0", skipped="0"
        )
        ElementTree.SubElement(suite, "testcase", name="no ties to CUDA", classname="uncuda")
        tests = 1
    root.set("tests", str(tests))
    root.set("failures", str(failures))
    root.set("errors", str(errors))
    ElementTree.indent(root)
    # Character references for what isn't ASCII: the text can then go through any output.
    body: bytes = ElementTree.tostring(root, "us-ascii")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body.decode()}\n'
