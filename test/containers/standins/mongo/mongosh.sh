#!/bin/sh
exec /usr/lib/mongosh/node --no-warnings /usr/lib/mongosh/node_modules/mongosh/bin/mongosh.js "$@"
