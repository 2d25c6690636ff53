#!/usr/bin/env bash
# The body of the GitHub Action: annotations on the pull request, SARIF, and a summary on the job's page.
# All input comes in environment variables, so that nothing of it is read as shell text.
set -uo pipefail

uncuda="$RUNNER_TEMP/uncuda/bin/uncuda"
mapfile -t paths < <(printf '%s\n' "${UNCUDA_PATHS:-.}" | sed '/^[[:space:]]*$/d')
options=()
[ -n "${UNCUDA_TARGETS:-}" ] && options+=("--target=$UNCUDA_TARGETS")
check=("${options[@]}")
[ -n "${UNCUDA_BASELINE:-}" ] && check+=("--baseline=$UNCUDA_BASELINE")
since="${UNCUDA_SINCE:-}"
[ "$since" = base ] && since="${UNCUDA_BASE:-}"
if [ -n "$since" ]; then
  # A shallow clone may lack it.
  git cat-file -e "$since^{commit}" 2>/dev/null || git fetch --quiet --depth=1 origin "$since"
  check+=("--since=$since")
fi
if [ "${UNCUDA_FAIL_ON:-error}" = never ]; then
  check+=(--exit-zero)
else
  check+=("--fail-on=${UNCUDA_FAIL_ON:-error}")
fi
[ -n "${UNCUDA_SARIF:-}" ] && check+=("--output-file=sarif=$UNCUDA_SARIF")

"$uncuda" check "${check[@]}" --output-format github --output-file "json-lines=$RUNNER_TEMP/uncuda.jsonl" -- "${paths[@]}"
code=$?
[ -f "$RUNNER_TEMP/uncuda.jsonl" ] || exit "$code"
echo "findings=$(grep -c '"code"' "$RUNNER_TEMP/uncuda.jsonl")" >> "$GITHUB_OUTPUT"

if [ "${UNCUDA_AUDIT:-true}" = true ]; then
  "$uncuda" audit "${options[@]}" --quiet --output-format markdown -- "${paths[@]}" >> "$GITHUB_STEP_SUMMARY" ||
    echo "The audit could not be made; see the job's log." >> "$GITHUB_STEP_SUMMARY"
fi
exit "$code"
