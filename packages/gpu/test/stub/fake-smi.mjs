// A stand-in for nvidia-smi: answers --help-query-gpu, then prints rows from a script file once an interval. The script is JSON:
// { "help": text, "rows": [[cells by field]…], "raw": [lines printed as they are], "exit": code, "hang": true, "refuse": field }.
import { readFileSync } from 'node:fs'

const script = () => JSON.parse(readFileSync(process.env.FAKE_SMI_SCRIPT, 'utf8'))
const args = process.argv.slice(2)
const first = script()
if (args.includes('--help-query-gpu')) {
  process.stdout.write(first.help ?? '')
  process.exit(first.help === undefined ? 1 : 0)
}
if (first.missing) {
  process.stdout.write(`${first.missing}\n`)
  process.exit(9)
}
const fields = args
  .find((arg) => arg.startsWith('--query-gpu='))
  .slice('--query-gpu='.length)
  .split(',')
if (first.refuse && fields.includes(first.refuse)) {
  process.stdout.write(`Field "${first.refuse}" is not a valid field to query.\n\n`)
  process.exit(2)
}
const every = args.find((arg) => arg.startsWith('-lms='))
process.on('SIGTERM', () => {
  if (!script().hang) process.exit(0)
})
const print = () => {
  const now = script()
  if (now.hang) return
  for (const row of now.rows ?? [])
    process.stdout.write(`${fields.map((field) => row[field] ?? '[N/A]').join(', ')}\n`)
  for (const line of now.raw ?? []) process.stdout.write(`${line}\n`)
  if (now.exit !== undefined) process.exit(now.exit)
  if (every === undefined) process.exit(0)
}
print()
if (every !== undefined) setInterval(print, Number(every.slice('-lms='.length)))
