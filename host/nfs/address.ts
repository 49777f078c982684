/** How a server and a path on it are written: for the mount helper, for a socket, and as the mount table shows them again. */

const ipv4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/
const ipv6 = /^[0-9a-f:.]*:[0-9a-f:.]*(%[a-z0-9._-]+)?$/i
const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i

/** Without brackets, which only some places want. */
const bare = (server: string): string => (server.startsWith('[') && server.endsWith(']') ? server.slice(1, -1) : server)

export const isIpv6 = (server: string): boolean => ipv6.test(bare(server))

export const isIpv4 = (server: string): boolean => ipv4.test(server)

/** A host name, an IPv4 address, or an IPv6 address with or without brackets. */
export const isServer = (text: string): boolean => {
  const name = bare(text)
  if (ipv6.test(name)) return true
  return name === text && (ipv4.test(name) || (hostName.test(name) && !/^[\d.]+$/.test(name)))
}

/** An absolute path in its plain spelling. It becomes one argument of a tool, so blanks are fine. */
export const isServerPath = (path: string): boolean =>
  path === '/' || (path.length <= 1024 && /^\/[^\p{Cc}]+$/u.test(path) && !path.slice(1).split('/').some((part) => part === '' || part === '.' || part === '..'))

/** For a socket. */
export const socketHost = (server: string): string => bare(server)

/** `server:/path`, as mount(8) wants it and /proc/self/mountinfo shows it. */
export const mountSource = (server: string, path: string): string => `${isIpv6(server) ? `[${bare(server)}]` : server}:${path}`
