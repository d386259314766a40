/**
 * As much of MongoDB's wire protocol as `ping` needs: a server that answers OP_MSG and a client with the shape of the driver's.
 * Documents hold strings and 32-bit numbers only.
 */
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import type { MongoClient } from '../../src/check/mongo.ts'
import { listen, type Stub } from './server.ts'

const opMsg = 2013

type Document = Record<string, string | number>

function encode(document: Document): Buffer {
  const parts = Object.entries(document).map(([key, value]) => {
    const name = Buffer.from(`${key}\0`)
    if (typeof value === 'number') {
      const number = Buffer.alloc(4)
      number.writeInt32LE(value)
      return Buffer.concat([Buffer.from([0x10]), name, number])
    }
    const text = Buffer.from(`${value}\0`)
    const length = Buffer.alloc(4)
    length.writeInt32LE(text.length)
    return Buffer.concat([Buffer.from([0x02]), name, length, text])
  })
  const body = Buffer.concat([...parts, Buffer.from([0])])
  const size = Buffer.alloc(4)
  size.writeInt32LE(body.length + 4)
  return Buffer.concat([size, body])
}

function decode(bytes: Buffer): Document {
  const document: Document = {}
  let at = 4
  while (bytes[at] !== 0) {
    const kind = bytes[at]
    const end = bytes.indexOf(0, at + 1)
    const key = bytes.toString('utf8', at + 1, end)
    at = end + 1
    if (kind === 0x10) {
      document[key] = bytes.readInt32LE(at)
      at += 4
    } else if (kind === 0x02) {
      const length = bytes.readInt32LE(at)
      document[key] = bytes.toString('utf8', at + 4, at + 3 + length)
      at += 4 + length
    } else throw new Error(`unknown BSON kind ${kind}`)
  }
  return document
}

function message(document: Document, answers = 0): Buffer {
  const section = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), encode(document)])
  const head = Buffer.alloc(16)
  head.writeInt32LE(16 + section.length, 0)
  head.writeInt32LE(7, 4)
  head.writeInt32LE(answers, 8)
  head.writeInt32LE(opMsg, 12)
  return Buffer.concat([head, section])
}

function read(bytes: Buffer): { id: number; document: Document } {
  if (bytes.readInt32LE(12) !== opMsg || bytes[20] !== 0) throw new Error('not an OP_MSG')
  return { id: bytes.readInt32LE(4), document: decode(bytes.subarray(21)) }
}

/** Answers `ping`, and nothing else, with the document given. */
export function mongoServer(answer: Document): Promise<Stub> {
  return listen((socket) => {
    socket.on('data', (bytes: Buffer) => {
      const { id, document } = read(bytes)
      socket.write(message(document['ping'] === 1 ? answer : { ok: 0, errmsg: 'no ping' }, id))
    })
  })
}

/** A client of one connection per command. */
export function mongoClient(port: number): MongoClient & { close(): void } {
  const sockets = new Set<Socket>()
  return {
    db: (name = 'admin') => ({
      async command(command) {
        const socket = connect({ port, host: '127.0.0.1' })
        sockets.add(socket)
        try {
          await once(socket, 'connect')
          socket.write(message({ ...command, $db: name }))
          const [bytes] = (await once(socket, 'data')) as [Buffer]
          return read(bytes).document
        } finally {
          socket.destroy()
        }
      },
    }),
    close() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
