/** One request written by hand, for heads that no client would send, and the head of what comes back. */
import { connect } from 'node:net'

/** Sends it and answers what came until the connection was closed, which it is after the head. */
export function exchange(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk
      // The head is enough.
      if (answer.includes('\r\n\r\n')) socket.end()
    })
    socket.on('close', () => resolve(answer)).on('error', reject)
  })
}
