#!/usr/bin/env bash
# Prints the path of a Python that has the original package vector_datalib 1.4.0b0 and what it needs, making a virtual environment under
# the target folder when there is none yet.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(realpath -m "${CARGO_TARGET_DIR:-target}")/python
if ! cmp -s tests/python/requirements.txt "$venv/requirements.txt" 2>/dev/null; then
  python3 -m venv --clear "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check setuptools wheel -r tests/python/requirements.txt >&2
  cp tests/python/requirements.txt "$venv/requirements.txt"
fi
echo "$venv/bin/python"
