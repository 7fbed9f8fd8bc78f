#!/bin/sh
# Opening 10,000,000 points must cost what opening 1,000 does: system calls within 10, under 100 page faults more, under twice the
# time. Prints a table of these, and what lookups cost; ends with 1 when a limit is broken.
#
# usage: scripts/open-cost.sh [DIRECTORY]     databases are made in DIRECTORY and kept; without it, in a temporary one
set -eu
cd "$(dirname "$0")/.."
command -v strace >/dev/null || echo "open-cost: no strace here, so system calls are not counted" >&2
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    VECTOR_BENCH_DIR=$(cd "$1" && pwd)
    export VECTOR_BENCH_DIR
fi
exec cargo bench --quiet --package vector-datalib --bench open
