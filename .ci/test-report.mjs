// A vitest reporter that says which tests were skipped and why, and ends with one line that programs can read: `N passed, N failed`.
// With CI set, a skipped test that is not listed in allowed-skips.json counts as failed.
import { readFileSync } from 'node:fs'

const allowed = JSON.parse(readFileSync(new URL('./allowed-skips.json', import.meta.url), 'utf8'))
/** Vitest gives a worker 60 s to end; who is not done after that never is. */
const LEFT_BEHIND_MS = 90_000
const inCi = !['', 'false', '0', undefined].includes(process.env.CI)

export default class TestReport {
  onTestRunEnd(modules, errors = []) {
    const count = { passed: 0, failed: 0 }
    const skipped = []
    for (const module of modules) {
      // A file that cannot be loaded has no tests; its failure must count.
      if (module.errors().length > 0) count.failed++
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === 'skipped')
          skipped.push({ name: `${module.relativeModuleId} > ${test.fullName}`, why: result.note })
        else if (result.state === 'passed') count.passed++
        else count.failed++
      }
    }
    count.failed += errors.length
    const lines = []
    for (const { name, why } of skipped) {
      const listed = Object.entries(allowed).find(([part]) => name.includes(part))
      const refused = inCi && listed === undefined
      if (refused) count.failed++
      lines.push(
        `${refused ? 'skipped in CI, which counts as failed' : 'skipped'}: ${name}: ${why ?? listed?.[1] ?? 'no reason given'}`,
      )
    }
    if (count.failed > 0) process.exitCode = 1
    lines.push(`${skipped.length} skipped`, `${count.passed} passed, ${count.failed} failed`)
    // A process that a test left behind holds vitest's pipes for as long as it lives, and vitest waits for them without an end.
    setTimeout(() => {
      process.stdout.write('vitest does not end: a test left a process behind (ps shows it)\n')
      process.exit(1)
    }, LEFT_BEHIND_MS).unref()
    // After the default reporter's summary, so that this is the last line.
    process.on('exit', () => process.stdout.write(`${lines.join('\n')}\n`))
  }
}
