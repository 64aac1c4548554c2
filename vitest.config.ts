import { defineConfig } from "vitest/config"

const src = (file: string) => new URL(`./src/${file}`, import.meta.url).pathname

const { BACKEND, LOADING } = process.env

/** The sources, by the one condition that package.json has for them. */
const conditions = ["effect-resource-server", "module", "node", "development|production"]

export default defineConfig({
  resolve: {
    conditions,
    alias: {
      // The other signature backend, and what Workers have in place of shared loads: `npm run test:web`.
      ...(BACKEND !== undefined && { "#signature": src(`issuer/signature.${BACKEND}.ts`) }),
      ...(LOADING !== undefined && { "#loading": src(`issuer/loading.${LOADING}.ts`) })
    }
  },
  ssr: { resolve: { conditions } },
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 }
})
