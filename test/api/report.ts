/**
 * What each public module exports, with signatures, as the compiler declares it.
 */
import { join } from "node:path"
import * as prettier from "prettier"
import ts from "typescript"
import { type PublicModule, publicModules } from "./publicModules.ts"

/** The report of one module. */
export interface Report {
  readonly file: string
  readonly text: string
  /** The exports that have no docstring. */
  readonly undocumented: ReadonlyArray<string>
}

/** The reports of all public modules of the package at `root`. The same source gives the same text. */
export const reports = (root: string): Promise<ReadonlyArray<Report>> => {
  const modules = publicModules(root)
  const program = declarations(root, modules)
  const checker = program.getTypeChecker()
  const abouts = new Map(modules.map(({ about, path }) => [declarationOf(join(root, path)), about]))
  const described = modules.map(({ about, name, path }) => ({
    name,
    about,
    exports: exportsOf(program.getSourceFile(declarationOf(join(root, path)))!, checker, abouts)
  }))
  const isPublic = new Set(described.flatMap(({ exports }) => exports.map(({ target }) => target)))
  return Promise.all(
    described.map(async ({ about, exports, name }) => {
      // What a signature names and nobody can import is part of the signature. It stands where it is named first.
      const shown = new Set(isPublic)
      const sections = exports.flatMap(({ doc, name, target }) => [
        `## ${name}`,
        firstSentence(doc),
        fenced(signatureOf(name, target, (statements) => hiddenBehind(statements, root, checker, shown)))
      ])
      const text = [`# ${name}`, firstSentence(about), "<!-- Written by `npm run api`. -->", ...sections].join("\n\n")
      return {
        file: `${name}.md`,
        text: await prettier.format(text, { ...style, parser: "markdown" }),
        undocumented: exports.filter(({ doc }) => doc === "").map((one) => one.name)
      }
    })
  )
}

const style = { semi: false, printWidth: 120, trailingComma: "none" } as const

/** A program of the declarations that the compiler writes for these modules, and for what they import. */
const declarations = (root: string, modules: ReadonlyArray<PublicModule>): ts.Program => {
  const options = {
    ...ts.parseJsonConfigFileContent(
      ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config,
      ts.sys,
      root
    ).options,
    declaration: true,
    emitDeclarationOnly: true,
    noEmit: false,
    stripInternal: true
  }
  const sources = modules.map(({ path }) => join(root, path))
  const texts = new Map<string, string>()
  ts.createProgram(sources, options).emit(undefined, (name, text) => texts.set(name, text))
  const host = ts.createCompilerHost(options)
  const isReplaced = (name: string) => texts.has(declarationOf(name))
  return ts.createProgram(sources.map(declarationOf), options, {
    ...host,
    fileExists: (name) => texts.has(name) || (!isReplaced(name) && host.fileExists(name)),
    readFile: (name) => texts.get(name) ?? host.readFile(name),
    getSourceFile: (name, ...rest) => {
      const text = texts.get(name)
      return text === undefined ? host.getSourceFile(name, ...rest) : ts.createSourceFile(name, text, rest[0])
    }
  })
}

const declarationOf = (source: string): string => source.replace(/(?<!\.d)\.ts$/, ".d.ts")

/** What a module exports, by name; of what it passes on, the thing itself. */
const exportsOf = (module: ts.SourceFile, checker: ts.TypeChecker, abouts: ReadonlyMap<string, string>) =>
  checker
    .getExportsOfModule(checker.getSymbolAtLocation(module)!)
    .map((symbol) => {
      const target = targetOf(symbol, checker)
      const whole = statementsOf(target).find(ts.isSourceFile)
      return {
        name: symbol.name,
        target,
        doc: abouts.get(whole?.fileName ?? "") ?? ts.displayPartsToString(target.getDocumentationComment(checker))
      }
    })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))

const signatureOf = (
  name: string,
  target: ts.Symbol,
  hidden: (statements: ReadonlyArray<ts.Node>) => ReadonlyArray<ts.Node>
): string => {
  const statements = statementsOf(target)
  if (statements.some(ts.isSourceFile)) return `export * as ${name}`
  return [...hidden(statements), ...statements].map(textOf).join("\n\n")
}

const fenced = (code: string) => `\`\`\`ts\n${code}\n\`\`\``

const firstSentence = (doc: string): string => {
  const text = doc
    .trim()
    .split(/\n\s*\n/)[0]!
    .replace(/\s+/g, " ")
  return /^.*?[.](?= |$)/.exec(text)?.[0] ?? text
}

const targetOf = (symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

/** The statements that declare a symbol; none of what is declared inside another, such as a member. */
const statementsOf = (symbol: ts.Symbol): ReadonlyArray<ts.Node> =>
  (symbol.declarations ?? [])
    .map((declaration) => (ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration))
    .filter((node) => ts.isSourceFile(node) || ts.isSourceFile(node.parent))

/** What these statements name of the package and nothing has shown yet, with what that names in turn first. */
const hiddenBehind = (
  statements: ReadonlyArray<ts.Node>,
  root: string,
  checker: ts.TypeChecker,
  shown: Set<ts.Symbol>
): ReadonlyArray<ts.Node> => {
  const found: Array<ts.Node> = []
  const visit = (node: ts.Node): void => {
    const symbol = ts.isIdentifier(node) ? checker.getSymbolAtLocation(node) : undefined
    if (symbol !== undefined) name(targetOf(symbol, checker))
    ts.forEachChild(node, visit)
  }
  const name = (symbol: ts.Symbol) => {
    const own = statementsOf(symbol).filter((node) => isOwn(node, root) && !ts.isSourceFile(node))
    if (own.length === 0 || shown.has(symbol)) return
    shown.add(symbol)
    own.forEach(visit)
    found.push(...own)
  }
  statements.forEach(visit)
  return found
}

const isOwn = (node: ts.Node, root: string): boolean => {
  const file = node.getSourceFile().fileName
  return file.startsWith(root) && !file.includes("/node_modules/")
}

const printer = ts.createPrinter({ removeComments: true })

/** A statement without comments, without the words that are the same for all, and without where things lie. */
const textOf = (node: ts.Node): string =>
  printer
    .printNode(ts.EmitHint.Unspecified, node, node.getSourceFile())
    .replace(/^(export )?(declare )?/, "")
    .replaceAll(/import\("\.[^"]*"\)\./g, "")
