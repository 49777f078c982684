/** The guest's view of an attached image file, for harnesses of drivers that hand out images. */
import { asVdiUuid } from '../../core/ids.ts'
import type { Result } from '../../core/methods/index.ts'
import type { Files } from '../../core/ports.ts'
import { openDisk } from '../../stores/image-files/content.ts'
import type { Disk } from './case.ts'

/** `<directory>/<vdi uuid>.<extension>`, as VDI.attach answers it. */
export const openImage = async (files: Files, attachment: Result<'VDI.attach'>): Promise<Disk> => {
  const slash = attachment.path.lastIndexOf('/')
  const vdi = asVdiUuid(attachment.path.slice(slash + 1).split('.')[0] ?? '')
  const disk = await openDisk(files, attachment.path.slice(0, slash), vdi, attachment.mode === 'ro' ? 'read' : 'write')
  return {
    read: async (offset, length) => disk.read(offset, length),
    write: async (offset, bytes) => disk.write(offset, bytes),
    async close() {
      if (attachment.mode === 'rw') await disk.sync()
      await disk.close()
    },
  }
}
