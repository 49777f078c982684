import { describe, expect, it } from 'vitest'
import { deleteDiskCommand, flushCommand, identityCommand, openersCommand, persistCommand, readFullStatusCommand, readReservationCommand, setReadOnlyCommand, settleCommand } from '../../../host/scsi/build.ts'

const line = (command: { readonly argv: readonly string[] }): string => command.argv.join(' ')
const disk = '/dev/disk/by-id/wwn-0x6001405'

describe('command lines for SCSI disks', () => {
  it('ask who a disk is and who holds it', () => {
    expect(line(identityCommand(disk))).toBe(`sg_vpd --page=0x83 -HHH ${disk}`)
    expect(line(readFullStatusCommand(disk))).toBe(`sg_persist --in --read-full-status ${disk}`)
    expect(line(readReservationCommand(disk))).toBe(`sg_persist --in --read-reservation ${disk}`)
    expect(line(openersCommand(['/dev/sda', '/dev/dm-0']))).toBe('find /proc -maxdepth 3 -path /proc/[0-9]*/fd/* ( -lname /dev/sda -o -lname /dev/dm-0 )')
  })

  it('change reservations with keys of eight bytes', () => {
    const key = 0x5300010203040506n
    expect(line(persistCommand(disk, { act: 'register', key, persist: true }))).toBe(`sg_persist --out --register-ignore --param-sark=0x5300010203040506 --param-aptpl ${disk}`)
    expect(line(persistCommand(disk, { act: 'register', key: 0n, persist: false }))).toBe(`sg_persist --out --register-ignore --param-sark=0x0 ${disk}`)
    expect(line(persistCommand(disk, { act: 'reserve', key }))).toBe(`sg_persist --out --reserve --param-rk=0x5300010203040506 --prout-type=5 ${disk}`)
    expect(line(persistCommand(disk, { act: 'preempt', key, victim: 7n }))).toBe(`sg_persist --out --preempt --param-rk=0x5300010203040506 --param-sark=0x7 --prout-type=5 ${disk}`)
    expect(line(persistCommand(disk, { act: 'release', key }))).toBe(`sg_persist --out --release --param-rk=0x5300010203040506 --prout-type=5 ${disk}`)
  })

  it('flush, set modes, take a disk away, wait for udev', () => {
    expect(line(flushCommand(disk))).toBe(`blockdev --flushbufs ${disk}`)
    expect(line(setReadOnlyCommand('/dev/sda', true))).toBe('blockdev --setro /dev/sda')
    expect(line(setReadOnlyCommand('/dev/sda', false))).toBe('blockdev --setrw /dev/sda')
    expect(deleteDiskCommand('/sys/class/iscsi_session/session1/device/target0:0:0/0:0:0:1')).toMatchObject({ argv: ['tee', '/sys/class/iscsi_session/session1/device/target0:0:0/0:0:0:1/delete'], stdin: '1' })
    expect(line(settleCommand)).toBe('udevadm settle --timeout=30')
  })
})
