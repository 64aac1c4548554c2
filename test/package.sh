#!/usr/bin/env bash
# The package as others get it: packed, linted, installed elsewhere, compiled, run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"

npm pack --silent --pack-destination "$work" >"$work/name"
tarball=$work/$(tail -n 1 "$work/name")
npx publint --strict "$tarball"
npx attw "$tarball" --profile esm-only --no-color --format table-flipped

# consumer NAME PACKAGES...: installs the tarball beside PACKAGES, compiles test/package/NAME.ts in both ways, runs it.
consumer() {
  local name=$1 project=$work/$1
  shift
  mkdir "$project"
  cp "test/package/$name.ts" .npmrc "$project"
  echo '{ "private": true, "type": "module" }' >"$project/package.json"
  (cd "$project" && npm install --loglevel error --prefer-offline --no-package-lock "$tarball" @types/node@20 "$@")
  cp test/package/private.mjs "$project"
  (cd "$project" && node private.mjs)
  local options="--strict --exactOptionalPropertyTypes --skipLibCheck false --target ES2022 --types node"
  # shellcheck disable=SC2086
  (
    cd "$project"
    "$root/node_modules/.bin/tsc" $options --module ESNext --moduleResolution Bundler --noEmit "$name.ts"
    "$root/node_modules/.bin/tsc" $options --module NodeNext --moduleResolution NodeNext "$name.ts"
    timeout 60 node "$name.js"
  )
}

# Without the optional peers, at the least versions that the peers may have.
# shellcheck disable=SC2046
consumer core $(node -p '
  const { peerDependencies: peers } = require("./package.json");
  ["effect", "@effect/platform"].map((name) => `${name}@${peers[name].replace("^", "")}`).join(" ")')
[ ! -e "$work/core/node_modules/@effect/ai" ]
[ ! -e "$work/core/node_modules/@effect/rpc" ]
[ ! -e "$work/core/node_modules/@modelcontextprotocol" ]

# shellcheck disable=SC2046
consumer server $(node -p '
  const { devDependencies } = require("./package.json")
  const names = ["effect", "@effect/platform", "@effect/platform-node", "@effect/ai", "@effect/rpc", "@effect/experimental"]
  names.map((name) => `${name}@${devDependencies[name]}`).join(" ")')

# shellcheck disable=SC2046
consumer mcpSdk $(node -p '
  const { devDependencies } = require("./package.json")
  const names = ["effect", "@effect/platform", "@modelcontextprotocol/sdk", "@modelcontextprotocol/server"]
  names.map((name) => `${name}@${devDependencies[name]}`).join(" ")')
