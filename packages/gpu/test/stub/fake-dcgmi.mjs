// A stand-in for dcgmi: what it prints and how it ends stands in the file that FAKE_DCGMI names, by the first word of its arguments.
import { appendFileSync, readFileSync } from 'node:fs'

const args = process.argv.slice(2)
const path = process.env.FAKE_DCGMI
appendFileSync(`${path}.calls`, `${args.join(' ')}\n`)
const {
  out = '',
  error = '',
  code = 0,
  hang,
  patient,
} = JSON.parse(readFileSync(path, 'utf8'))[args[0]] ?? {}
process.stdout.write(out)
process.stderr.write(error)
// The real one stops the diagnostic of the host engine before it ends.
process.on('SIGTERM', () => {
  if (patient === undefined) process.exit(143)
  setTimeout(() => {
    appendFileSync(`${path}.calls`, 'stopped\n')
    process.exit(203)
  }, patient)
})
if (hang) setInterval(() => {}, 1000)
// dcgmi ends with DCGM's negative numbers, of which a process shows the low byte.
else process.exitCode = code & 0xff
