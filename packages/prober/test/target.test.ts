/** What an address means, in whatever spelling, is what `URL` says it means. */
import { expect, test } from 'vitest'
import { targetOf, type Target } from '../src/target.ts'
import { orderOf } from './stage.ts'

const of = (url: string) => targetOf(orderOf(url)) as Target
const hostHeader = ({ request }: Target) => /\r\nHost: (.*)\r\n/.exec(request)?.[1]

test.for([
  'http://127.0.0.1:9001',
  'http://127.0.0.1:100',
  'http://127.0.0.1:65535',
  'http://127.0.0.1:80',
  'http://127.0.0.1:081',
  'http://127.0.0.1',
  'http://010.0.0.1:9001',
  'http://1.2.3:9001',
  'http://127.0.0.1:9001/',
  'HTTP://127.0.0.1:9001',
  'http://localhost:9001',
  'http://[::1]:9001',
  'https://127.0.0.1:9001',
  'https://127.0.0.1',
])('%s', (text) => {
  const url = new URL(text)
  const tls = url.protocol === 'https:'
  const target = of(text)
  expect(target).toMatchObject({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (tls ? 443 : 80),
    tls,
  })
  expect(hostHeader(target)).toBe(url.host)
})

test.for(['http://256.0.0.1:9001', 'http://127.0.0.1:65536', 'ftp://127.0.0.1:9001', 'nonsense'])(
  '%s is no address',
  (url) => {
    expect(targetOf(orderOf(url))).toBe('the address is not http://host:port')
  },
)
