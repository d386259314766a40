// Part of a bundle: has stack traces name sources. The maps are read when somebody looks at a trace and let go again: Node's own
// way (--enable-source-maps) reads all of them at the start, for 16 MB. It changes nothing else of an error.
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'

const folder = new URL('.', import.meta.url).href
const maps = new Map()

function mapOf(url) {
  let map = maps.get(url)?.deref()
  if (map === undefined) {
    map = new SourceMap(JSON.parse(readFileSync(new URL(`${url}.map`), 'utf8')))
    maps.set(url, new WeakRef(map))
  }
  return map
}

function place(site) {
  const url = site.getFileName()
  const told = String(site)
  if (typeof url !== 'string' || !url.startsWith(folder)) return told
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()]
  try {
    const found = mapOf(url).findEntry(line - 1, column - 1)
    if (found.originalSource === undefined) return told
    const source = new URL(found.originalSource, url).href
    const there = `${source}:${found.originalLine + 1}:${found.originalColumn + 1}`
    return told.replace(`${url}:${line}:${column}`, there)
  } catch {
    // A map that is gone takes no error with it.
    return told
  }
}

const head = (error) => {
  try {
    return Error.prototype.toString.call(error)
  } catch {
    return 'Error'
  }
}

Error.prepareStackTrace = (error, sites) =>
  [head(error), ...sites.map((site) => `    at ${place(site)}`)].join('\n')
