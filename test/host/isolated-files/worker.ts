/** A file worker for tests: this host's files, and a scanner that lists. */
import { Socket } from 'node:net'
import { createFiles } from '../../../host/files/files.ts'
import { serveIsolatedFiles } from '../../../host/isolated-files/serve.ts'

const files = createFiles()
serveIsolatedFiles(new Socket({ fd: 3 }), {
  files,
  scanner: {
    images: async (directory, format) => Promise.all(((await files.list(directory)) ?? []).map(async (fileName) => {
      const facts = await files.stat(`${directory}/${fileName}`)
      if (facts === undefined) throw new Error(`${fileName} is gone`)
      return { fileName, facts, summary: { format } }
    })),
    texts: async (directory, suffix, limit) => {
      const names = await files.list(directory)
      if (names === undefined) return undefined
      return new Map(await Promise.all(names.filter((name) => name.endsWith(suffix)).map(async (name) => [name, await files.readText(`${directory}/${name}`, limit).catch(() => undefined)] as const)))
    },
  },
})
