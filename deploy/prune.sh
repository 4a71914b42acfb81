#!/bin/sh
# prune.sh <directory>: deletes from an installation what a server never opens: binaries of packages for other platforms,
# source maps, types, and copies of modules for browsers. Run it after `npm ci`, before the first start.
set -eu
modules=${1:?name the directory of the installation}/node_modules
platform=$(node -p 'process.platform + "-" + process.arch')
find "$modules" -path '*/prebuilds/*' -name '*.node' ! -path "*/prebuilds/$platform/*" -delete
# Two C libraries share the name of the platform.
if node -e 'process.exit(process.report.getReport().header.glibcVersionRuntime ? 0 : 1)'; then other=musl; else other=glibc; fi
find "$modules" -path '*/prebuilds/*' -name "*.$other.node" -delete
find "$modules" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete
for copy in esm esnext; do rm -rf "$modules"/@opentelemetry/*/build/$copy; done
