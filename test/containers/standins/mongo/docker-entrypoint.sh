#!/bin/bash
# What the official entrypoint does for a mongod that is neither root nor to create users: listen on all addresses unless told.
set -euo pipefail
if [ "${1:0:1}" = '-' ]; then set -- mongod "$@"; fi
if [ "$1" = mongod ] && [[ " $* " != *" --bind_ip"* ]]; then set -- "$@" --bind_ip_all; fi
exec "$@"
