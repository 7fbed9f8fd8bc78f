#!/bin/sh
# Loads 10,000,000 points of four attributes in random key order, and compacts the result, with a memory budget of 256 MiB in a
# control group with a hard limit of 384 MiB, page cache included. Ends with 1 when that fails.
#
# usage: scripts/bulk-memory.sh [points|strings] [COUNT] [BUDGET_MIB] [LIMIT_MIB] [DIRECTORY]
#   strings: 43,000,000 distinct strings instead. DIRECTORY (a temporary one) needs 4 GB of disk, 8 GB for strings.
# Needs root, and control groups of version 1 or 2 for memory.
set -eu
cd "$(dirname "$0")/.."
what=${1:-points}
case $what in
points) count=${2:-10000000} ;;
strings) count=${2:-43000000} ;;
*) sed -n '2,7p' "$0"; exit 2 ;;
esac
budget=${3:-256}
limit=${4:-384}

cargo bench --quiet --package vector-datalib --bench bulk --no-run
binary=$(cargo bench --quiet --package vector-datalib --bench bulk --no-run --message-format json |
    sed -n 's/.*"name":"bulk".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[ -x "$binary" ] || { echo "bulk-memory: there is no program to run" >&2; exit 1; }

if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/vector-bulk-$$
    limit_file=memory.limit_in_bytes
    peak_file=memory.max_usage_in_bytes
else
    group=/sys/fs/cgroup/vector-bulk-$$
    limit_file=memory.max
    peak_file=memory.peak
fi
if [ $# -gt 4 ]; then
    mkdir -p "$5"
    directory=$(mktemp -d "$5/bulk.XXXXXX")
else
    directory=$(mktemp -d)
fi
trap 'rm -rf "$directory"; rmdir "$group" 2>/dev/null || true' EXIT
mkdir "$group"
echo $((limit << 20)) >"$group/$limit_file"

echo "$what: $count, a budget of $budget MiB, a limit of $limit MiB"
status=0
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" \
    "$binary" "$what" "$directory/bulk.vdb" "$count" "$budget" || status=$?
du -sm "$directory" | awk '{ print "size of the database:", $1, "MiB" }'
[ ! -r "$group/$peak_file" ] || echo "memory of the group at most: $(($(cat "$group/$peak_file") >> 20)) MiB of $limit MiB"
for file in memory.oom_control memory.events; do
    [ ! -r "$group/$file" ] || grep -E '^(oom|oom_kill) ' "$group/$file" || true
done
[ $status -eq 0 ] && echo "within the limit" || echo "FAILED with $status" >&2
exit $status
