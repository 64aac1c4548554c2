#!/usr/bin/env bash
# The package in workerd: packed, installed beside what a worker needs, bundled, run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"

npm pack --silent --pack-destination "$work" >"$work/name"
cp test/workers/*.* .npmrc "$work"
cd "$work"
npm ci --loglevel error --prefer-offline
npm install --loglevel error --prefer-offline --no-save "./$(tail -n 1 name)"
node --test workers.test.mjs
