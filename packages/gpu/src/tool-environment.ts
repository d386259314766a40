/**
 * What the tools that we start get of our environment: where programs and libraries are, and a language that can be parsed. No key of ours
 * is in it.
 */

/** A driver's libraries may lie where only this says so: in images of cloud providers, say. */
const LIBRARIES = 'LD_LIBRARY_PATH'

/** The variables, with more beside them. */
export function toolEnvironment(
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const { PATH = '', HOME = '', [LIBRARIES]: libraries } = process.env
  return {
    PATH,
    HOME,
    LC_ALL: 'C',
    ...(libraries !== undefined && { [LIBRARIES]: libraries }),
    ...more,
  }
}
