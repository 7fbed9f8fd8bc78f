#!/bin/sh
# Exports 10,000,000 points of four attributes to the canonical file, or imports them from it, with a memory budget of 256 MiB in a
# control group with a hard limit of 384 MiB, page cache included. Ends with 1 when that fails. What is read is made outside of the group.
#
# usage: scripts/canonical-memory.sh export|import [COUNT] [BUDGET_MIB] [LIMIT_MIB] [DIRECTORY]
#   DIRECTORY (a temporary one) needs 4 GB of disk.
# Needs root, and control groups of version 1 or 2 for memory.
set -eu
cd "$(dirname "$0")/.."
what=${1:-}
case $what in
export) made=load ;;
import) made=files ;;
*) sed -n '2,7p' "$0"; exit 2 ;;
esac
count=${2:-10000000}
budget=${3:-256}
limit=${4:-384}

cargo bench --quiet --package vector-datalib --bench canonical --no-run
binary=$(cargo bench --quiet --package vector-datalib --bench canonical --no-run --message-format json |
    sed -n 's/.*"name":"canonical".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[ -x "$binary" ] || { echo "canonical-memory: there is no program to run" >&2; exit 1; }

if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/vector-canonical-$$
    limit_file=memory.limit_in_bytes
    peak_file=memory.max_usage_in_bytes
else
    group=/sys/fs/cgroup/vector-canonical-$$
    limit_file=memory.max
    peak_file=memory.peak
fi
if [ $# -gt 4 ]; then
    mkdir -p "$5"
    directory=$(mktemp -d "$5/canonical.XXXXXX")
else
    directory=$(mktemp -d)
fi
trap 'rm -rf "$directory"; rmdir "$group" 2>/dev/null || true' EXIT
mkdir "$group"
echo $((limit << 20)) >"$group/$limit_file"

"$binary" $made "$directory" "$count" "$budget"
# What is cached already would not be counted.
find "$directory" -type f -exec dd if={} iflag=nocache count=0 status=none \;

echo "$what: $count, a budget of $budget MiB, a limit of $limit MiB"
status=0
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" \
    "$binary" "$what" "$directory" "$count" "$budget" || status=$?
du -sm "$directory" | awk '{ print "size of databases and files:", $1, "MiB" }'
[ ! -r "$group/$peak_file" ] || echo "memory of the group at most: $(($(cat "$group/$peak_file") >> 20)) MiB of $limit MiB"
for file in memory.oom_control memory.events; do
    [ ! -r "$group/$file" ] || grep -E '^(oom|oom_kill) ' "$group/$file" || true
done
[ $status -eq 0 ] && echo "within the limit" || echo "FAILED with $status" >&2
exit $status
