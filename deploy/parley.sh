#!/bin/sh
# The command line of a server that docs/small-server.md installed: linked as /usr/local/bin/parley. Takes the settings of
# parley.service, and runs as its user: files that root made in DATA_DIR would stop the server.
set -eu
if [ "$(id -u)" -ne 0 ]; then
  echo "parley: run this as root, such as: sudo parley $*" >&2
  exit 1
fi
export NODE_ENV=production DATA_DIR=/var/lib/parley
# Read as systemd reads it. A shell would take the & of a URL for its own.
if [ -f /etc/parley.env ]; then
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in [A-Za-z_]*=*) ;; *) continue ;; esac
    value=${line#*=}
    case $value in \"*\" | \'*\') value=${value#?} value=${value%?} ;; esac
    export "${line%%=*}=$value"
  done </etc/parley.env
fi
exec runuser -u parley -- /opt/parley/dist/server/lib/bin.js "$@"
