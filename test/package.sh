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
# Each module is named by its row of the map.
subpaths=$(node -p 'Object.keys(require("./package.json").exports).filter((row) => /^\.\/[A-Z]/.test(row)).map((row) => row.slice(2)).join(" ")')
# shellcheck disable=SC2086
npx attw "$tarball" --profile esm-only --no-color --format table-flipped --include-entrypoints $subpaths

# consumer NAME PACKAGES...: installs the tarball beside PACKAGES, compiles test/package/NAME.ts in both ways, runs it.
consumer() {
  local name=$1 project=$work/$1
  shift
  mkdir "$project"
  cp "test/package/$name.ts" .npmrc "$project"
  echo '{ "private": true, "type": "module" }' >"$project/package.json"
  (cd "$project" && npm install --loglevel error --prefer-offline --no-package-lock "$tarball" @types/node@20 "$@")
  # What we publish must be enough by itself: no source, no `internal`, no barrel under a second name.
  (cd "$project" && node --input-type=module -e '
    for (const name of ["index", "internal/jose"]) {
      const found = await import(`effect-resource-server/${name}`).then(() => true, () => false)
      if (found) throw new Error(`effect-resource-server/${name} can be imported`)
    }')
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
