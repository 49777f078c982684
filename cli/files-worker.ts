/** Entry of a file worker: the process that works in a place which may hang, for the storage manager that started it. */
import { Socket } from 'node:net'
import { createFiles } from '../host/files/files.ts'
import { serveIsolatedFiles } from '../host/isolated-files/serve.ts'
import { createDirectScanner } from '../stores/image-files/scan/direct.ts'

serveIsolatedFiles(new Socket({ fd: 3 }), { files: createFiles(), scanner: createDirectScanner() })
