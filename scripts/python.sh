#!/usr/bin/env bash
# Prints the path of a Python that has the original package vector_datalib 1.4.0b0 and what it needs, making a virtual environment under
# the target folder when there is none yet. With an argument, it has what that file of requirements says instead.
set -euo pipefail
cd "$(dirname "$0")/.."
requirements=${1:-tests/python/requirements.txt}
venv=$(realpath -m "${CARGO_TARGET_DIR:-target}")/python-$(cksum < "$requirements" | cut -d" " -f1)
if ! cmp -s "$requirements" "$venv/requirements.txt" 2>/dev/null; then
  python3 -m venv --clear "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check setuptools wheel -r "$requirements" >&2
  cp "$requirements" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
