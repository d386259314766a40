// Asks the gateway that served this page. A key is kept for this tab only and sent nowhere else.

const TIMEOUT_MS = 5000
let key = sessionStorage.getItem('health-key') ?? ''

/** The gateway wants a key, or another one. */
export class KeyWanted extends Error {}

export function useKey(text) {
  key = text
  sessionStorage.setItem('health-key', text)
}

/** One request, JSON in and out. Answers status, headers and the parsed body (null when it is not JSON). */
export async function ask(path, { method = 'GET', body, timeoutMs = TIMEOUT_MS } = {}) {
  const response = await fetch(path, {
    method,
    cache: 'no-store',
    signal: AbortSignal.timeout(timeoutMs),
    headers: {
      ...(key !== '' && { authorization: `Key ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  let value = null
  try {
    value = JSON.parse(text)
  } catch {
    // An answer of a runner may be anything.
  }
  return { status: response.status, headers: response.headers, value }
}

/** Throws KeyWanted for an answer of 401 or 403, with what to do. */
export function checkKey({ status, value }) {
  if (status === 401)
    throw new KeyWanted(
      key === '' ? 'The gateway asks for a key.' : 'The gateway does not know this key.',
    )
  if (status === 403)
    throw new KeyWanted(
      key === ''
        ? (value?.message ?? 'The gateway asks for a key.')
        : 'This key may not look; a read or admin key may.',
    )
}

/** Reads one of the fleet's objects; throws KeyWanted on 401 and 403. */
export async function read(path) {
  const answer = await ask(path)
  checkKey(answer)
  const { status, value } = answer
  if (status !== 200 || value === null)
    throw new Error(value?.message ?? `The gateway answered ${status}.`)
  return value
}

/** Reads a list to its end: ended runners of one app alone can fill a page, and those of the others come after them. */
export async function readList(path, name) {
  const list = []
  for (let cursor = 0; cursor !== null;) {
    const page = await read(`${path}?limit=1000&cursor=${cursor}`)
    list.push(...page[name])
    cursor = page.next
  }
  return list
}
