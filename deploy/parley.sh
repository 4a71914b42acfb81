#!/bin/sh
# The command line of a server that docs/small-server.md installed: linked as /usr/local/bin/parley. Takes the settings of
# parley.service, and runs as its user: files that root made in DATA_DIR would stop the server.
# A setting of the caller has precedence. If the caller names DATA_DIR and no MONGO_URL, the service's database is not meant.
set -eu
if [ "$(id -u)" -ne 0 ]; then
  echo "parley: run this as root, such as: sudo parley $*" >&2
  exit 1
fi
taken=' '
if [ -n "${DATA_DIR:-}" ] && [ -z "${MONGO_URL:-}" ]; then left_out=' MONGO_URL NATS_URL '; else left_out=' '; fi
# Read as systemd reads it. A shell would take the & of a URL for its own.
if [ -f /etc/parley.env ]; then
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in [A-Za-z_]*=*) ;; *) continue ;; esac
    name=${line%%=*} value=${line#*=}
    case $name in *[!A-Za-z0-9_]*) continue ;; esac
    # Of two lines with one name the later one counts.
    case $taken in
      *" $name "*) ;;
      *) if eval "[ -n \"\${$name+set}\" ]"; then continue; fi ;;
    esac
    case $left_out in *" $name "*) continue ;; esac
    taken="$taken$name "
    case $value in \"*\" | \'*\') value=${value#?} value=${value%?} ;; esac
    export "$name=$value"
  done </etc/parley.env
fi
export NODE_ENV=production "DATA_DIR=${DATA_DIR:-/var/lib/parley}"
exec runuser -u parley -- /opt/parley/dist/server/lib/bin.js "$@"
