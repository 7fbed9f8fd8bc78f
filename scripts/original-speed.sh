#!/usr/bin/env bash
# Times this library against the original in one run: `export` against its save, `Import` against its opening, of one database of
# COUNT (1,000,000) points with four attributes, interleaved over ROUNDS (5); prints the medians and their ratios.
#
#   scripts/original-speed.sh [COUNT [ROUNDS [DIRECTORY]]]
#
# Needs Python 3 and a package registry for the original, and 1 KB of disk for each point in DIRECTORY (a temporary one).
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-1000000}
rounds=${2:-5}
directory=$(mktemp -d "${3:-${TMPDIR:-/tmp}}/original-speed.XXXXXX")
trap 'rm -rf "$directory"' EXIT
python=$(scripts/python.sh)
binary=$(cargo bench --quiet --package vector-datalib --bench canonical --no-run --message-format json |
    sed -n 's/.*"name":"canonical".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[ -x "$binary" ] || { echo "original-speed: there is no program to run" >&2; exit 1; }

"$binary" files "$directory" "$count"
file="$directory/compacted-$count.db"
for _ in $(seq "$rounds"); do
    # Each waits until the other one is gone, memory and all, and has nothing left for the disk to write.
    original=$("$python" tests/python/speed.py "$file" "$directory/copy.db")
    sync
    ours=$("$binary" seconds "$directory" "$count")
    sync
    echo "$original $ours"
done | tee /dev/stderr | python3 -c '
import statistics, sys
rows = [[float(word) for word in line.split()] for line in sys.stdin]
opened, saved, exported, imported = (statistics.median(column) for column in zip(*rows))
print(f"save {saved:.2f} s, export {exported:.2f} s: {saved / exported:.1f} times as fast")
print(f"open {opened:.2f} s, import {imported:.2f} s: {opened / imported:.1f} times as fast")
'
