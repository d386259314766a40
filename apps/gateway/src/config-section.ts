/**
 * Reads the sections of the configuration that are not about apps, and completes them with their defaults. An unknown key is an error
 * that names the nearest known one; what this version does not have is refused by name.
 */
import {
  HealthError,
  allowed,
  checkOption,
  nodeTunables,
  resolvePolicy,
  type OptionSpec,
  type PolicyOptions,
} from '@health/core'
import type { EnvironmentTree } from './config-environment.ts'
import { checkField, convertFields, knownName, objectAt, type FieldSpec } from './config-field.ts'
import { later, policyFields, sectionFields, type Sections } from './config-table.ts'

const topNames = [...Object.keys(sectionFields), 'dataDir', 'policy', 'apps']

/** Reads one section and completes it with defaults. */
function readSection(
  name: string,
  specs: Readonly<Record<string, FieldSpec>>,
  raw: unknown,
  tree: EnvironmentTree,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, unknown> {
  const given = convertFields(name, specs, objectAt(name, raw ?? {}), tree.fromEnvironment)
  for (const [field, value] of Object.entries(given)) {
    const path = `${name}.${field}`
    if (later[path]?.(value)) {
      const shown =
        specs[field] === undefined || Array.isArray(value)
          ? path
          : `${path}: ${JSON.stringify(value)}`
      const spec = specs[field]
      throw new HealthError(
        'HEALTH_NOT_IN_VERSION',
        `${shown} is not in this version${spec === undefined || !('words' in spec) ? '; leave it out' : `; allowed is ${allowed(spec as OptionSpec)}`}.`,
        path,
      )
    }
    knownName(name, field, Object.keys(specs))
    checkField(path, specs[field]!, value)
  }
  return Object.fromEntries(
    Object.entries(specs).map(([field, spec]) => {
      if (given[field] !== undefined) return [field, given[field]]
      if (spec.kind !== 'secrets') return [field, spec.default]
      // Keys by default come from the environment, silently: no key on loopback is a documented state.
      const found = spec.default
        .map((entry) => env[entry.slice('env:'.length)])
        .filter((key) => key !== undefined && key !== '')
      checkField(`${name}.${field} (${spec.default.join()})`, spec, found)
      return [field, found]
    }),
  )
}

/** What the sections say, and what is left to be read: the apps. */
export interface ReadSections {
  readonly sections: Sections
  readonly dataDir: string
  readonly policy: PolicyOptions
  readonly apps: Readonly<Record<string, unknown>>
}

/** Checks everything but the apps. Throws HealthError with the path, the value and what is allowed. */
export function readSections(
  tree: EnvironmentTree,
  env: Readonly<Record<string, string | undefined>>,
): ReadSections {
  const top = objectAt('', tree.value)
  for (const name of Object.keys(top)) knownName('', name, topNames)
  const sections = Object.fromEntries(
    Object.entries(sectionFields).map(([name, specs]) => [
      name,
      readSection(name, specs, top[name], tree, env),
    ]),
  )
  const dataDir = (top['dataDir'] ?? '.health') as string
  checkField('dataDir', { kind: 'text', default: '.health', reason: '' }, dataDir)
  const policy = convertFields(
    'policy',
    policyFields,
    objectAt('policy', top['policy'] ?? {}),
    tree.fromEnvironment,
  )
  for (const [name, value] of Object.entries(policy)) {
    knownName('policy', name, Object.keys(policyFields))
    checkOption(`policy.${name}`, policyFields[name]!, value)
  }
  // What no single name shows: a rule in dryRun that there is not, or that needs another name beside it.
  resolvePolicy({}, policy, nodeTunables)
  return {
    sections: sections as unknown as Sections,
    dataDir,
    policy,
    apps: objectAt('apps', top['apps'] ?? {}),
  }
}
