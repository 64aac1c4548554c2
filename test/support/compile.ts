/**
 * Type-checks texts like files of this project.
 */
import { dirname, join, relative, resolve } from "node:path"
import ts from "typescript"

/** The root of the repository. */
export const root = resolve(import.meta.dirname, "../..")

/** A module that need not exist on disk. Its relative imports start from its path below the root. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** A message of the compiler, with the source and the line, counted from 1. */
export interface Problem {
  readonly path: string
  readonly line: number
  readonly message: string
}

/** The options of tsconfig.json, except that examples may declare names that they do not use. */
const options = ((): ts.CompilerOptions => {
  const path = join(root, "tsconfig.json")
  const parsed = ts.parseJsonConfigFileContent(ts.readConfigFile(path, ts.sys.readFile).config, ts.sys, root)
  return { ...parsed.options, noUnusedLocals: false, moduleDetection: ts.ModuleDetectionKind.Force }
})()

/** One program of all these sources, each a module of its own. */
export const program = (sources: ReadonlyArray<Source>): ts.Program => {
  const texts = new Map(sources.map(({ path, text }) => [join(root, path), text]))
  const directories = new Set([...texts.keys()].map(dirname))
  const host = ts.createCompilerHost(options)
  return ts.createProgram([...texts.keys()], options, {
    ...host,
    fileExists: (name) => texts.has(name) || host.fileExists(name),
    readFile: (name) => texts.get(name) ?? host.readFile(name),
    directoryExists: (name) => directories.has(name) || ts.sys.directoryExists(name),
    getSourceFile: (name, ...rest) => {
      const text = texts.get(name)
      return text === undefined ? host.getSourceFile(name, ...rest) : ts.createSourceFile(name, text, rest[0])
    }
  })
}

/** Everything that does not compile in these sources. */
export const problems = (sources: ReadonlyArray<Source>): ReadonlyArray<Problem> => {
  const checked = program(sources)
  return [
    ...checked.getOptionsDiagnostics(),
    ...sources.flatMap(({ path }) => ts.getPreEmitDiagnostics(checked, checked.getSourceFile(join(root, path))))
  ].map(({ file, messageText, start = 0 }) => ({
    path: relative(root, file?.fileName ?? root),
    line: (file?.getLineAndCharacterOfPosition(start).line ?? -1) + 1,
    message: ts.flattenDiagnosticMessageText(messageText, "\n")
  }))
}

/** A problem in one line, to print. */
export const format = ({ line, message, path }: Problem): string => `${path}:${line} ${message.replaceAll("\n", " ")}`
