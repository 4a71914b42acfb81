#!/bin/sh
# backup.sh <directory>: copies log and vault of DATA_DIR into a new directory below it, named for the time, and writes
# the list of erasures beside it. Keeps the newest KEEP backups (7 by default). Works while the server runs.
# The master key is not in it: keep DATA_DIR/master.key at another place. With MONGO_URL it writes the list only.
set -eu
to=${1:?name the directory of the backups}
parley() { "$(dirname "$0")/../dist/server/lib/bin.js" "$@"; }
mkdir -p "$to"
# One run at a time: what is unfinished below is then of an earlier run. The kernel frees the lock, after a kill too.
exec 9>"$to/.lock"
if ! flock -n 9; then
  echo "another backup into $to is running: wait for its end" >&2
  exit 1
fi
# A directory without backup.json, which is written last, is no backup.
for old in "$to"/????????T??????Z; do
  if [ ! -d "$old" ] || [ -e "$old/backup.json" ]; then continue; fi
  rm -r "$old"
  echo "removed $old: that backup was cut off"
done
if [ -n "${MONGO_URL:-}" ]; then
  parley backup --erasures "$to/erasures"
  echo "MONGO_URL is set: this is only the list of erasures. Back up the database with its own tools."
  exit
fi
new="$to/$(date -u +%Y%m%dT%H%M%SZ)"
# The one before may have been made within this second.
while [ -e "$new" ]; do
  sleep 1
  new="$to/$(date -u +%Y%m%dT%H%M%SZ)"
done
parley backup "$new"
parley backup --erasures "$to/erasures"
# Oldest first.
for old in $(ls -d "$to"/????????T??????Z | sort | head -n "-${KEEP:-7}"); do rm -r "$old"; done
