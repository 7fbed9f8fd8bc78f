#!/usr/bin/env bash
# Random databases to the original package and back, 500 by default (or VECTOR_DATABASES, from the seed VECTOR_SEED on): the original loads what is exported
# without a complaint, and what it saves is imported as it was. A failure names the seed. Then every fixture.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${VECTOR_DATABASES:=500}" "${VECTOR_SEED:=1}"
VECTOR_PYTHON=$(scripts/python.sh)
export VECTOR_DATABASES VECTOR_SEED VECTOR_PYTHON
cargo test --release --workspace --test engine -- original:: fixtures:: --nocapture
