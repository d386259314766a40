/**
 * Which names mean this machine and no other. Decides by the name alone and never asks a resolver: what a resolver says is not ours
 * to trust where safety hangs on it.
 */

/** True for `localhost`, `127.0.0.0/8` and `::1`, with or without brackets; a port is not part of a host. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}
