/** The lab proves itself before anybody relies on it. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { must } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const mib = 1024 * 1024

export default suite({
  name: 'lab-self',
  driver: 'lab',
  disks: [512 * mib],
  cases: [
    {
      name: 'is a machine of its own, with the blank disk that was asked for',
      async run() {
        if (hostname() !== 'lab-a') throw new Error(`It is called ${hostname()}`)
        const size = Number((await must(['blockdev', '--getsize64', '/dev/disk/by-id/virtio-labdisk0'])).trim())
        if (size !== 512 * mib) throw new Error(`The disk has ${size} bytes`)
        if (!readFileSync('/proc/version', 'utf8').includes('Debian')) throw new Error('This is not the kernel of the lab')
      },
    },
  ],
})
