import { mergeConfig } from "vitest/config"
import base from "./vitest.config.ts"
const config = mergeConfig(base, {})
config.test.include = process.env["MUT_TESTS"]!.split(",").map((name) => `test/${name}.test.ts`)
export default config
