'use strict'
/**
 * Starts an executable from dist/: `require('./launch.js')(entry, leadingArguments, exportedName)`. The chunks there are CommonJS modules; they
 * are compiled with V8's code cache that the build left beside them, which takes about a third off the start. A cache of another
 * Node version, or none, is no failure: V8 then compiles as usual.
 */
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const vm = require('node:vm')

const dist = join(__dirname, '..', 'dist')
const caches = join(dist, 'cache', `${process.version}-${process.arch}`)

/** File name of a chunk -> what it exports, and its script for the build, which writes the caches. */
const loaded = new Map()

const readOr = (path) => {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

/** For drivers from outside, which may be ES modules: import() does not work in scripts that were compiled here. */
const nativeImport = (specifier) => import(specifier)

const load = (name) => {
  const known = loaded.get(name)
  if (known !== undefined) return known.module.exports
  const filename = join(dist, name)
  // Chunks are ASCII (scripts/build.ts): read as Latin-1 they need no decoding.
  const source = readFileSync(filename, 'latin1')
  const script = new vm.Script(`(function (exports, require, module, __filename, __dirname, __nativeImport) {${source}\n})`, {
    filename,
    cachedData: readOr(join(caches, name)),
  })
  const module = { exports: {} }
  loaded.set(name, { module, script })
  const requireFrom = (wanted) => (wanted.startsWith('./') ? load(wanted.slice(2)) : require(wanted))
  script.runInThisContext()(module.exports, requireFrom, module, filename, dist, nativeImport)
  return module.exports
}

/** Says what is wrong with this installation in one sentence instead of a stack trace. */
const refuse = (sentence) => {
  process.stderr.write(`storage-manager: ${sentence}\n`)
  process.exitCode = 5
}

const launch = (entry, leading = [], exported = 'main') => {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) return refuse(`Node.js ${process.versions.node} is too old: 20.19 or newer is needed`)
  let main
  try {
    main = load(`${entry}.js`)[exported]
  } catch (error) {
    if (error.code === 'ENOENT' && String(error.path).startsWith(dist)) return refuse(`it is not built yet: run npm run build in ${join(__dirname, '..')}`)
    throw error
  }
  return main([...leading, ...process.argv.slice(2)]).then((status) => {
    process.exitCode = status
  })
}

module.exports = launch
module.exports.load = load
module.exports.loaded = loaded
