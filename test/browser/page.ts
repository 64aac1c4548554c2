/**
 * A page of an origin of its own in headless Chromium, and what its script can read of the answers of others.
 */
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { chromium } from "playwright-core"

export interface Request {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"

const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

/** Opens the page until the scope ends. Its browser starts with an empty profile each time: nothing is cached. */
export const open = Effect.gen(function* () {
  const origin = yield* serveEmptyPage
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() => {
      if (!existsSync(executablePath)) {
        throw new Error(`There is no Chromium at ${executablePath}: install it, or say in CHROMIUM where it is`)
      }
      return chromium.launch({ executablePath, args })
    }),
    (browser) => Effect.promise(() => browser.close())
  )
  const page = yield* Effect.promise(() => browser.newPage())
  yield* Effect.promise(() => page.goto(origin))
  return { origin, fetch: (request: Request) => Effect.promise(() => page.evaluate(fetchInPage, request)) }
})

/** Runs in the page: all of an answer that its script can read, or how `fetch` rejects. */
const fetchInPage = async ({ url, ...init }: Request) => {
  try {
    const response = await fetch(url, init)
    return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() }
  } catch (error) {
    return { rejected: String(error) }
  }
}

const serveEmptyPage = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer((_request, response) => {
      response.setHeader("content-type", "text/html").end("<!doctype html><title>An MCP client</title>")
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return server
  }),
  (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))
