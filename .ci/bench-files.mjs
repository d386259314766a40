// Which files are benchmarks, and which of the others beside them belong to which: every file of a `bench` folder is one that the plan
// runs, or is named in another file of its folder. It reads and runs nothing else.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const byName = (a, b) => (a < b ? -1 : 1)

/** Paths from `root`, sorted; hidden files are nobody's. */
export function benchFiles(root) {
  return ['apps', 'packages']
    .flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}/bench`))
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((file) => /^[^.].*\.m?[jt]s$/.test(file))
        .map((file) => `${folder}/${file}`),
    )
    .sort(byName)
}

/** Files of the same folder that a file names, and those that these name. */
export function helpersOf(root, file, files) {
  const found = new Set([file])
  for (const one of found) {
    const text = readFileSync(join(root, one), 'utf8')
    for (const other of files)
      if (
        dirname(other) === dirname(one) &&
        new RegExp(`['"\`](\\./)?${basename(other)}['"\`]`).test(text)
      )
        found.add(other)
  }
  found.delete(file)
  return [...found].sort(byName)
}

/** What is wrong with the plan, a line each: a file that nobody runs, or one that does not exist. */
export function strangers(root, plan) {
  const files = benchFiles(root)
  const known = new Set(
    plan.flatMap(({ file }) =>
      files.includes(file) ? [file, ...helpersOf(root, file, files)] : [],
    ),
  )
  return [
    ...plan
      .filter(({ file }) => !files.includes(file))
      .map(({ file }) => `${file} is in .ci/bench-plan.mjs and does not exist`),
    ...files
      .filter((file) => !known.has(file))
      .map((file) => `${file} is not in .ci/bench-plan.mjs, and no benchmark there names it`),
  ]
}
