/** Serves the page's modules from node_modules without a bundler: ES modules as they are, two CommonJS ones in a wrapper. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const inspect = dirname(fileURLToPath(import.meta.resolve('@statelyai/inspect')))
const fromInspect = createRequire(join(inspect, 'index.mjs'))
const xstate = dirname(fromInspect.resolve('xstate'))
const wrap = (name) =>
  `const module = { exports: {} }\nlet exports = module.exports\n${readFileSync(fromInspect.resolve(name), 'utf8')}\nexport default module.exports`

/** What the page imports, by name. What only the inspector's cloud needs is left empty. */
export const imports = {
  '@statelyai/inspect': '/module/inspect/index.mjs',
  '#uuid': '/module/inspect/uuid-browser.mjs',
  xstate: '/module/xstate/xstate.esm.js',
  'xstate/dev': '/module/empty.js',
  'fast-safe-stringify': '/module/fast-safe-stringify.js',
  'safe-stable-stringify': '/module/safe-stable-stringify.js',
  'isomorphic-ws': '/module/socket.js',
  partysocket: '/module/empty.js',
  superjson: '/module/empty.js',
}

/** The text of a module; null for another path. */
export function moduleOf(path) {
  if (path === '/module/empty.js')
    return 'export default class {}\nexport const stringify = JSON.stringify\nexport const devToolsAdapter = () => {}'
  if (path === '/module/socket.js') return 'export default WebSocket'
  const wrapped = /^\/module\/((?:fast-safe|safe-stable)-stringify)\.js$/.exec(path)
  if (wrapped) return wrap(wrapped[1])
  const file = /^\/module\/(inspect|xstate)\/([\w.-]+\.m?js)$/.exec(path)
  if (file === null || file[2].includes('..')) return null
  try {
    return readFileSync(join(file[1] === 'inspect' ? inspect : xstate, file[2]), 'utf8')
  } catch {
    return null
  }
}
