"""Findings that aren't ties: files that can't be checked, and comments that silence rules without need.

The walk doesn't run these rules: the runner reports the first, `uncuda.suppressions` the others.
"""

from __future__ import annotations

from uncuda.rules.base import Bad, Category, Good, Rule


class UnparsableFile(Rule):
    """The file can't be parsed, so nothing in it was checked.

    It isn't Python 3, or it is nested too deeply. Python 2 code and templates are the usual reasons: mend the
    file, or leave it out with `exclude`. A file without any word that could be a tie isn't parsed, so this
    isn't told of every such file. A comment can't silence it; `per-file-ignores` can.
    """

    code = "UC000"
    name = "unparsable-file"
    triggers = ()
    category = Category.MANDATORY
    effort = 1
    bad = (Bad("import torch\n\nprint torch.cuda.is_available()\n"),)
    good = (Good("import torch\n\nprint(torch.ones(1))\n"),)


class UnusedIgnore(Rule):
    """The comment silences a rule that finds nothing there.

    It was needed once, or stands in the wrong place. Left there it would hide a tie that comes later. What is
    told is only what the run can know: comments that name rules which aren't selected stay, and so does a
    comment without a list unless all rules are selected. A bare `# noqa` belongs to every linter and is never
    told; of `# noqa: E501, UC101` only the second code is looked at.
    """

    code = "UC001"
    name = "unused-ignore"
    triggers = ("uncuda:", r"\bUC\d")
    category = Category.POTENTIAL
    effort = 0
    fix_safety = (
        "Safe: only the comment changes. The rules that silence nothing go; the whole comment goes when none is "
        "left. Other comments in the same line, and other linters' codes, stay as they are."
    )
    bad = (
        Bad("x = 1  # uncuda: ignore[UC101] moved\n", "x = 1\n"),
        Bad(
            "import torch\n\nx = torch.ones(1).cuda()  # uncuda: ignore[UC101, UC205] cluster only\n",
            "import torch\n\nx = torch.ones(1).cuda()  # uncuda: ignore[UC101] cluster only\n",
            id="one-of-two",
        ),
        Bad("import os  # noqa: F401, UC101\n", "import os  # noqa: F401\n", id="noqa"),
        Bad(
            "# uncuda: ignore-file[UC4] no process groups\nimport os\n",
            "import os\n",
            id="file",
        ),
        Bad("x = 1  # uncuda: ignore  # type: ignore[misc]\n", "x = 1  # type: ignore[misc]\n", id="bare"),
    )
    good = (
        Good("import torch\n\nx = torch.ones(1).cuda()  # uncuda: ignore[UC101] cluster only\n"),
        Good("import torch\n\nx = torch.ones(1).cuda()  # noqa: UC101\n"),
        Good("x = 1  # noqa\n", "other linters read it too"),
        Good("import os  # noqa: F401\n", "another linter's code"),
        Good('HELP = "write # uncuda: ignore[UC101] at the end"\n', "text, not a comment"),
        Good(
            "import torch\n\n# uncuda: ignore[cuda-call] the line below\nx = torch.ones(1).cuda()\n",
            "by name, and from the line above",
        ),
    )


class IgnoreWithoutReason(Rule):
    """The comment silences a rule without saying why.

    Told with `require-reason` only. The reason stands behind the bracket:
    `# uncuda: ignore[UC101] runs on the CUDA cluster only`, or behind the codes of a `noqa`. In a year somebody
    will want to know whether the comment can go. Put it there with `uncuda check --add-ignore=REASON`.
    """

    code = "UC002"
    name = "ignore-without-reason"
    triggers = ("uncuda:", r"\bUC\d")
    category = Category.POTENTIAL
    effort = 0
    bad = (
        Bad("import torch\n\nx = torch.ones(1).cuda()  # uncuda: ignore[UC101]\n"),
        Bad("import torch\n\nx = torch.ones(1).cuda()  # noqa: UC101\n", id="noqa"),
    )
    good = (
        Good("import torch\n\nx = torch.ones(1).cuda()  # uncuda: ignore[UC101] cluster only\n"),
        Good("import torch\n\nx = torch.ones(1).cuda()  # noqa: UC101 cluster only\n"),
    )


class InvalidIgnore(Rule):
    """The comment is meant to silence a rule and doesn't.

    It names a rule that isn't there, has its brackets wrong, stands where it has no say, or starts a block that
    nothing ends. What is wrong with it is in the message; what it was meant to silence is reported as ever.
    """

    code = "UC003"
    name = "invalid-ignore"
    triggers = ("uncuda:", r"\bUC\d")
    category = Category.POTENTIAL
    effort = 0
    bad = (
        Bad("import os  # uncuda: ignore[UC998]\n"),
        Bad("import os  # uncuda: ignore[cuda-cal] cluster only\n", id="name"),
        Bad("import os  # uncuda: ignore UC101\n", id="brackets"),
        Bad("import os  # uncuda: ignore-file[UC101]\n", id="place"),
        Bad("# uncuda: ignore-start[UC101]\nimport os\n", id="block"),
    )
    good = (
        Good("# uncuda: finds ties to CUDA\nimport os\n", "prose"),
        Good("import os  # noqa: E501\n"),
        Good('"""Write `# uncuda: ignore[RULE]`."""\n', "text, not a comment"),
        Good("# see the docs of uncuda: ignore comments\nimport os\n", "prose"),
        Good("import os  # noqa: some words\n", "not for this tool"),
    )
