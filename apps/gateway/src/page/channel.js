// A WebSocket to the gateway that comes back after a loss. With a key it asks for a token first; the key itself is in no address.
import { ask, checkKey, KeyWanted } from './gateway.js'

const FIRST_MS = 300
const MOST_MS = 10_000
const UNAUTHORIZED = 4401
/** Silence after which the gateway is asked whether it is there; as long again without an answer is a loss, as when a laptop slept. */
const SILENCE_MS = 10_000
/** A connection ends with its token; the next one begins at once. */
const TOKEN_SECONDS = 600

async function token() {
  const answer = await ask('v1/tokens', {
    method: 'POST',
    body: { scope: 'read', seconds: TOKEN_SECONDS },
  })
  checkKey(answer)
  if (typeof answer.value?.token !== 'string') throw new Error('no token')
  return answer.value.token
}

/**
 * Connects to `path`; `heard` gets each message as an object, `opened` the way to say something, `changed` one of `open`, `lost` and `key`:
 * it answers, but not to this key. Answers how to end it and how to try at once.
 */
export function connect(path, { opened = () => {}, heard, changed }) {
  let socket = null
  let failures = 0
  let timer = 0
  let silence = 0
  let over = false
  const again = (state, reason) => {
    clearTimeout(silence)
    if (over) return
    changed(state, reason)
    timer = setTimeout(begin, Math.min(MOST_MS, FIRST_MS * 2 ** failures++))
  }
  const listen = (mine, asked = false) => {
    clearTimeout(silence)
    silence = setTimeout(() => {
      if (asked) {
        socket = null
        mine.close()
        return again('lost')
      }
      if (mine.readyState === WebSocket.OPEN) mine.send('{"type":"ping"}')
      listen(mine, true)
    }, SILENCE_MS)
  }
  const begin = async () => {
    let secret
    try {
      secret = await token()
    } catch (error) {
      return error instanceof KeyWanted ? again('key', error.message) : again('lost')
    }
    if (over) return
    const address = new URL(path, document.baseURI)
    address.protocol = address.protocol.replace('http', 'ws')
    address.searchParams.set('token', secret)
    const mine = (socket = new WebSocket(address))
    let welcome = false
    listen(mine)
    mine.addEventListener('open', () => {
      changed('open')
      opened((message) => mine.send(JSON.stringify(message)))
    })
    mine.addEventListener('message', ({ data }) => {
      failures = 0
      welcome = true
      if (mine !== socket) return
      listen(mine)
      const message = JSON.parse(data)
      if (message.type !== 'pong') heard(message)
    })
    mine.addEventListener('close', ({ code, reason }) => {
      if (mine !== socket) return
      // Nothing is wrong: the token is over.
      if (code === UNAUTHORIZED && welcome) return void begin()
      if (code === UNAUTHORIZED) again('key', reason)
      else again('lost')
    })
  }
  void begin()
  return {
    close() {
      over = true
      clearTimeout(timer)
      clearTimeout(silence)
      const last = socket
      socket = null
      last?.close()
    },
    retry() {
      if (over || socket?.readyState === WebSocket.OPEN) return
      clearTimeout(timer)
      failures = 0
      void begin()
    },
  }
}
