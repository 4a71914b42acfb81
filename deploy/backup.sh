#!/bin/sh
# backup.sh <directory>: copies log and vault of DATA_DIR into a new directory below it, named for the time, and writes
# the list of erasures beside it. Keeps the newest KEEP backups (7 by default). Works while the server runs.
# The master key is not in it: keep DATA_DIR/master.key at another place.
set -eu
to=${1:?name the directory of the backups}
parley() { "$(dirname "$0")/../dist/server/lib/bin.js" "$@"; }
mkdir -p "$to"
parley backup "$to/$(date -u +%Y%m%dT%H%M%SZ)"
parley backup --erasures "$to/erasures"
# Oldest first. A directory without backup.json is none: it was cut off, and its name is not counted.
for old in $(ls -d "$to"/*Z | sort | head -n "-${KEEP:-7}"); do rm -r "$old"; done
