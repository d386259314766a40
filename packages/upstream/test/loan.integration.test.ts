// Memory that is lent: what a receiver holds is never written over, and what it gave back is used again.
import { expect, test } from 'vitest'
import { lend, PIECE_BYTES } from '../src/loan.ts'
import { answering, Ear, open, serve } from './stage.ts'

const SIZE = 20_000
const letterOf = (path: string): string => String.fromCharCode(97 + Number(path.slice(1)))

/** Keeps what it was lent until it is told to look at it. */
class Borrower extends Ear {
  readonly held: { chunk: Uint8Array; giveBack: () => void }[] = []

  lent(chunk: Uint8Array, giveBack: () => void): boolean {
    this.held.push({ chunk, giveBack })
    return true
  }

  read(): void {
    for (const { chunk, giveBack } of this.held.splice(0)) {
      this.body += Buffer.from(chunk).toString('latin1')
      giveBack()
      giveBack()
    }
  }
}

test('many that hold on to what they were lent get their own answers, round after round', async () => {
  const server = await serve(
    answering((request) => {
      const letter = letterOf(request.split(' ', 2)[1]!)
      return `HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n${letter.repeat(SIZE)}`
    }),
  )
  const route = open(server.url)
  for (let round = 0; round < 5; round++) {
    const ears = Array.from({ length: 20 }, (_, i) => {
      const ear = new Borrower()
      route.send({ method: 'GET', path: `/${i}`, headers: [], body: null }, ear)
      return ear
    })
    await Promise.all(ears.map((ear) => ear.over))
    for (const ear of ears) ear.read()
    expect(ears.map(({ body }) => body === body[0]?.repeat(SIZE) && body[0])).toEqual(
      ears.map((_, i) => letterOf(`/${i}`)),
    )
  }
})

test('memory that was given back twice is lent to one', () => {
  const loan = lend(Buffer.alloc(10_000, 'a'))!
  loan.giveBack()
  loan.giveBack()
  const [one, other] = [lend(Buffer.alloc(10_000, 'b'))!, lend(Buffer.alloc(10_000, 'c'))!]
  expect(one.piece.buffer).toBe(loan.piece.buffer)
  expect(other.piece.buffer).not.toBe(one.piece.buffer)
  expect([one.piece[0], other.piece[0]]).toEqual([98, 99])
})

test('small pieces and those larger than a read are not lent', () => {
  expect([lend(Buffer.alloc(100)), lend(Buffer.alloc(PIECE_BYTES + 1))]).toEqual([null, null])
})

test('a short answer that is here at once comes as text, byte by character', async () => {
  const body = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1')
  const server = await serve(
    answering(() => `HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n${body}`),
  )
  class Reader extends Ear {
    whole(text: string): void {
      this.body += text
    }
    override data(): boolean {
      throw new Error('not as a piece')
    }
  }
  const ear = new Reader()
  open(server.url).send({ method: 'GET', path: '/', headers: [], body: null }, ear)
  await ear.over
  expect(ear.body).toBe(body)
})
