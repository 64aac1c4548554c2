/**
 * Importing the package, compared with importing only what it needs of Effect.
 */
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ratio } from "./measure.ts"
import type { Figure } from "./report.ts"

const rounds = 9
const dist = fileURLToPath(new URL("../../dist/", import.meta.url))

/** What the built package imports from other packages, without the doors that need peers of their own. */
const needed = (): ReadonlyArray<string> => {
  const files = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"))
  const core = files.filter((name) => !/BearerAuth(Mcp|Rpc)/.test(name))
  const found = core.flatMap((name) => [
    ...readFileSync(dist + name, "utf8").matchAll(/^import .*from "([^."#][^"]*)"/gm)
  ])
  return [...new Set(found.map(([, specifier = ""]) => specifier))]
}

const imported = (specifiers: ReadonlyArray<string>) => {
  const script = `
    const start = process.hrtime.bigint()
    for (const name of ${JSON.stringify(specifiers)}) await import(name)
    const millis = Number(process.hrtime.bigint() - start) / 1e6
    globalThis.gc()
    console.log(JSON.stringify({ millis, heap: process.memoryUsage().heapUsed }))`
  const output = execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "-e", script], {
    cwd: dist,
    encoding: "utf8"
  })
  return JSON.parse(output) as { readonly millis: number; readonly heap: number }
}

export const startUp = async (): Promise<ReadonlyArray<Figure>> => {
  if (!existsSync(`${dist}index.js`)) throw new Error("run npm run build first")
  const peers = needed()
  const taken = {
    ours: [] as Array<number>,
    peers: [] as Array<number>,
    ourHeap: [] as Array<number>,
    peerHeap: [] as Array<number>
  }
  for (let round = 0; round < rounds; round++) {
    const ours = imported([`${dist}index.js`])
    const theirs = imported(peers)
    taken.ours.push(ours.millis)
    taken.peers.push(theirs.millis)
    taken.ourHeap.push(ours.heap)
    taken.peerHeap.push(theirs.heap)
  }
  return [
    {
      what: "importing the package / what it needs, time",
      ratio: ratio(taken.ours, taken.peers),
      note: `${taken.ours[0]!.toFixed(0)} ms / ${taken.peers[0]!.toFixed(0)} ms`
    },
    { what: "importing the package / what it needs, heap", ratio: ratio(taken.ourHeap, taken.peerHeap) }
  ]
}
