#!/bin/sh
# The model test at length: random operations against a plain map, 20 seeds of 200,000 operations each (or
# VECTOR_SEEDS of VECTOR_OPERATIONS, from VECTOR_SEED on), a twentieth of that on disk too, and large databases. A
# failure prints how to repeat it.
set -eu
cd "$(dirname "$0")/.."
: "${VECTOR_SEEDS:=20}" "${VECTOR_OPERATIONS:=200000}" "${VECTOR_SEED:=1}"
export VECTOR_SEEDS VECTOR_OPERATIONS VECTOR_SEED
cargo test --release --package vector-datalib --test engine -- model:: --test-threads 1 --nocapture
