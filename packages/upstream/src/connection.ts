/**
 * One connection: carries one request at a time, feeds what comes back to the reader, and knows when it may carry another. It is
 * used again only when both sides were read to their very end and nothing came besides.
 */
import { Readable } from 'node:stream'
import { AnswerReader, type AnswerSink, type Progress } from './answer.ts'
import type { AnswerHead } from './answer-head.ts'
import { BodySender, drain, TEXT_BYTES, type BodyFault } from './body.ts'
import { cutOfConnect } from './fault.ts'
import { lend, PIECE_BYTES } from './loan.ts'
import type { Carrier, Journey } from './journey.ts'
import { PatientSocket } from './patient-socket.ts'
import type { Cut, Flight, Outgoing, Receiver } from './route.ts'

/** What a connection tells its owner. */
export interface Owner {
  /** It may carry another request, and be kept idle for so many ms. */
  free(connection: Connection, keepMs: number): void
  /** It is gone. `unasked`: the other side closed it while it carried nothing. */
  gone(connection: Connection, unasked: boolean): void
}

/** Where it goes. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** All sockets read into the same memory: each piece is consumed, or copied, before the next read of any of them. */
const shared = Buffer.allocUnsafeSlow(PIECE_BYTES)
const NOTHING = Buffer.alloc(0)

/** A connection to one server. */
export class Connection implements AnswerSink, Carrier {
  /** Since when it carries nothing, and when it is too old to be used again, in ms of the monotonic clock. */
  idleSince = 0
  idleUntil = 0
  readonly #owner: Owner
  readonly #socket: PatientSocket
  readonly #reader: AnswerReader
  #journey: Journey | null = null
  #sender: BodySender | null = null
  #alarm: NodeJS.Timeout | null
  #code = ''
  #connected = false
  /** We closed it. */
  #left = false
  /** What was read and not passed on; null: not stopped. */
  #rest: Buffer | null = null

  constructor(owner: Owner, address: Address, connectMs: number) {
    this.#owner = owner
    this.#reader = new AnswerReader(this)
    const onread = { buffer: shared, callback: (length: number) => this.#read(length) }
    const socket = new PatientSocket({ noDelay: true, onread })
    this.#socket = socket
    socket.connect(address)
    this.#alarm = setTimeout(() => {
      this.#code = 'ETIMEDOUT'
      socket.destroy()
    }, connectMs)
    socket.on('connect', () => {
      this.#disarm()
      // Where nobody listens, the kernel may pick the very port that is called as our own: a socket that met itself.
      this.#connected =
        socket.localPort !== socket.remotePort || socket.localAddress !== socket.remoteAddress
      if (this.#connected) return
      this.#code = 'ECONNREFUSED'
      socket.destroy()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#code ||= error.code ?? ''
    })
    socket.on('drain', () => this.#sender?.onDrain())
    socket.on('end', () => this.#ended())
    socket.on('close', () => this.#closed())
  }

  /** False when it was closed from the other side, or by us. */
  get usable(): boolean {
    return this.#socket.writable && !this.#socket.readableEnded
  }

  /** Sends a request; nothing else may be on its way. */
  carry(journey: Journey): void {
    const { head, request } = journey
    journey.carrier = this
    this.#journey = journey
    this.#reader.begin(request.method === 'HEAD')
    const { body } = request
    if (body instanceof Readable) {
      this.#sender = new BodySender(this.#socket, head.text, body, head.length, (fault) =>
        this.#bodyFailed(fault),
      )
      this.#sender.start()
    } else this.#write(head.text, body)
  }

  resume(): void {
    const rest = this.#rest
    if (rest === null) return
    this.#rest = null
    // First of all: what is fed now may end the answer, and the connection must not be kept while it reads nothing.
    this.#socket.resume()
    this.#feed(rest)
  }

  cut(): void {
    this.#release()
    this.#leave()
  }

  /** Cuts it; the receiver hears of it when the socket is closed. */
  close(): void {
    this.#leave()
  }

  onHead(head: AnswerHead): void {
    this.#journey?.receiver.head(head.status, head.headers)
  }

  onData(slice: Uint8Array): boolean {
    const receiver = this.#journey?.receiver
    if (receiver === undefined) return false
    const loan = receiver.lent === undefined ? null : lend(slice)
    if (loan === null) return receiver.data(Buffer.from(slice))
    return receiver.lent!(loan.piece, loan.giveBack)
  }

  onWhole(text: string): boolean {
    const receiver = this.#journey?.receiver
    if (receiver === undefined) return false
    if (receiver.whole === undefined) return receiver.data(Buffer.from(text, 'latin1'))
    receiver.whole(text)
    return true
  }

  #write(head: string, body: Uint8Array | null): void {
    const socket = this.#socket
    if (body === null || body.byteLength === 0) return void socket.write(head, 'latin1')
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    if (bytes.length <= TEXT_BYTES)
      return void socket.write(head + bytes.toString('latin1'), 'latin1')
    socket.cork()
    socket.write(head, 'latin1')
    socket.write(bytes)
    socket.uncork()
  }

  #read(length: number): boolean {
    // Whatever a server says unasked could be taken for the next answer.
    if (this.#journey === null) this.#leave()
    else this.#feed(shared.subarray(0, length))
    return true
  }

  #feed(bytes: Buffer): void {
    const journey = this.#journey
    const progress: Progress = this.#reader.feed(bytes)
    // A receiver may have taken its request back meanwhile.
    if (this.#journey !== journey || journey === null) return
    switch (progress) {
      case 'more':
        return
      case 'stopped':
        this.#rest =
          this.#reader.used === bytes.length
            ? NOTHING
            : Buffer.from(bytes.subarray(this.#reader.used))
        this.#socket.pause()
        return
      case 'whole':
        return this.#finish(this.#reader.used === bytes.length)
      case 'malformed':
        return this.#lose('incomplete')
      case 'too_large':
        return this.#lose('head_too_large')
      default:
        progress satisfies never
    }
  }

  #finish(clean: boolean): void {
    const socket = this.#socket
    const keepMs = this.#reader.head?.keepMs ?? 0
    const sent = this.#sender === null || this.#sender.complete
    const receiver = this.#release()
    if (clean && sent && keepMs > 0 && socket.writable && socket.writableLength === 0)
      this.#owner.free(this, keepMs)
    else this.#leave()
    receiver?.end()
  }

  #lose(how: Cut): void {
    const receiver = this.#release()
    this.#leave()
    receiver?.lost(how)
  }

  /** Ends the journey, as far as this side is concerned. */
  #release(): Receiver | null {
    const journey = this.#journey
    this.#sender?.stop()
    this.#sender = null
    this.#journey = null
    this.#rest = null
    if (journey === null) return null
    journey.carrier = null
    return journey.receiver
  }

  #bodyFailed(fault: BodyFault): void {
    this.#lose(fault === 'length' ? 'unsendable' : 'disconnected')
  }

  #ended(): void {
    if (this.#journey !== null && this.#reader.endsWithConnection) this.#finish(false)
    else this.#socket.destroy()
  }

  #leave(): void {
    this.#left = true
    this.#socket.destroy()
  }

  #closed(): void {
    this.#disarm()
    this.#owner.gone(this, !this.#left && this.#journey === null)
    if (this.#journey === null) return
    if (!this.#connected) return this.#lose(cutOfConnect(this.#code))
    this.#lose(this.#reader.head === null ? 'disconnected' : 'incomplete')
  }

  #disarm(): void {
    if (this.#alarm !== null) clearTimeout(this.#alarm)
    this.#alarm = null
  }
}

/** A request that never got a connection; its stream is not left waiting. */
export function unsent(request: Outgoing, receiver: Receiver, how: Cut): Flight {
  if (request.body instanceof Readable) drain(request.body)
  receiver.lost(how)
  return { resume() {}, abort() {} }
}
