/** The driver executable holds the sentences about what it has words for; what it prints is compared with what the call answers. */
import { fileSr } from './callers.ts'
import { describePart } from './front-topics.ts'

describePart({
  name: 'through FileSR', front: fileSr,
  topics: ['SR life cycle', 'VDI life cycle', 'attach and detach'],
  cannot: {
    'attaching an unknown SR without its place asks for the place': 'its dconf is always there',
    'a detached SR is deleted by its uuid, and one that this host does not know by its place': 'its dconf is always there',
    'every call on a VDI that is not there says so, and names the field': 'it names fields in words only',
  },
})
