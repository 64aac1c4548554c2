/**
 * Prints on the terminal.
 */
import { styleText } from "node:util"
import type { Row } from "./requests.ts"

type Style = Parameters<typeof styleText>[0]

const colors = process.stdout.isTTY && process.env["NO_COLOR"] === undefined

const style = (format: Style, text: string): string => (colors ? styleText(format, text) : text)

export const title = (text: string) => console.log(`\n${style("bold", text)}\n`)

export const fact = (name: string, value: string) => console.log(`  ${style("dim", name.padEnd(22))} ${value}`)

export const trace = (line: string) => console.log(`  ${style("dim", line)}`)

export const result = (text: string) => console.log(`  ${style("green", "->")} ${text}`)

const indent = " ".repeat(7)

/** One request: status, name and error tag; below them the challenge and the log line. */
export const row = ({ challenge, log, name, retryAfter, status }: Row) => {
  const color = status < 300 ? "green" : status < 500 ? "yellow" : "red"
  console.log(`  ${style(color, String(status))}  ${style("bold", name.padEnd(50))} ${style(color, log?.error ?? "")}`)
  if (challenge !== undefined) console.log(wrapped("challenge", challenge))
  if (retryAfter !== undefined) console.log(wrapped("Retry-After", `${retryAfter} seconds, and no challenge`))
  if (log !== undefined) console.log(wrapped(`log ${log.level}`, log.text))
  console.log()
}

/** A label, and its text in lines of up to 100 characters, broken at spaces. */
const wrapped = (label: string, text: string): string => {
  const lines = text.match(/.{1,99}(?:\s|$)|\S+/g) ?? []
  return lines
    .map((line, index) => `${indent}${style("dim", (index === 0 ? label : "").padEnd(12))} ${line.trimEnd()}`)
    .join("\n")
}
