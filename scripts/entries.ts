/** What is built: the name in dist/ and the source. A new executable or worker is one line here. */

interface Entry {
  readonly source: string
  /** `program` exports main(args) and is started by bin/launch.js; `worker` runs when it is loaded; `library` is imported by others. */
  readonly kind: 'program' | 'worker' | 'library'
  /** Packages that must not be read before they are needed: loading them costs more than the whole call. */
  readonly banned?: readonly string[]
}

const slow = ['pino', 'execa', 'fast-xml-parser', 'json-rpc-2.0', 'prom-client', 'cli-table3'] as const

export const entries: Readonly<Record<string, Entry>> = {
  smctl: { source: 'cli/smctl/main.ts', kind: 'program', banned: [...slow, 'zod'] },
  smd: { source: 'cli/smd.ts', kind: 'program', banned: ['pino', 'execa', 'fast-xml-parser', 'prom-client', 'commander', 'cli-table3'] },
  xe: { source: 'cli/xe/main.ts', kind: 'program', banned: [...slow, 'zod', 'commander'] },
}
