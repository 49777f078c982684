import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseFullStatus, parseOpeners, parsePage83, parseReservation } from '../../../host/scsi/parse.ts'

// Recorded: sg_vpd --page=0x83 -HHH, sg3-utils 1.46.
const lio = `00 83 00 ac 01 03 00 10  60 01 40 5a aa aa aa a0
00 04 00 08 00 00 00 00  02 01 00 34 4c 49 4f 2d
4f 52 47 20 46 49 4c 45  49 4f 3a 61 61 61 61 61
61 61 61 2d 30 30 30 30  2d 34 30 30 30 2d 38 30
30 30 2d 30 30 30 30 30  30 30 30 30 30 30 30 00
51 94 00 04 00 00 00 01  51 95 00 04 00 00 00 00
01 06 00 04 00 00 00 00  53 98 00 24 69 71 6e 2e
32 30 32 34 2d 30 31 2e  6f 72 67 2e 65 78 61 6d
70 6c 65 3a 74 31 2c 74  2c 30 78 30 30 30 31 00
53 a8 00 1c 69 71 6e 2e  32 30 32 34 2d 30 31 2e
6f 72 67 2e 65 78 61 6d  70 6c 65 3a 74 31 00 00
`
const tgt = `00 83 00 48 02 01 00 24  49 45 54 20 20 20 20 20
30 30 30 31 30 30 30 31  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 01 03 00 08
30 00 00 01 00 00 00 01  01 03 00 10 60 00 00 00
00 00 00 00 0e 00 00 00  00 01 00 01
`

describe('VPD page 83', () => {
  it('of LIO names the LUN twice, and the names of port and target are not taken for it', () => {
    expect(parsePage83(lio)).toEqual(['naa.6001405aaaaaaaa00004000800000000', 't10.LIO-ORG FILEIO:aaaaaaaa-0000-4000-8000-000000000000'])
  })

  it('of tgt has three names, spelt as the kernel does', () => {
    expect(parsePage83(tgt)).toEqual(['t10.IET 00010001', 'naa.3000000100000001', 'naa.60000000000000000e00000000010001'])
  })

  it('that is cut off or no page 83 at all is no answer', () => {
    expect(() => parsePage83('')).toThrow(/something else than expected/)
    expect(() => parsePage83('00 80 00 04 31 32 33 34')).toThrow(/something else than expected/)
    expect(() => parsePage83('VPD page not supported')).toThrow(/something else than expected/)
  })

  it('of any bytes is read without running past its end', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 0xffff }), (body, length) => {
      const page = Buffer.concat([Buffer.from([0, 0x83, length >> 8, length & 255]), body])
      expect(Array.isArray(parsePage83(page.toString('hex')))).toBe(true)
    }))
  })
})

// Recorded: sg_persist, sg3-utils 1.46, against LIO.
const heading = '  LIO-ORG   FILEIO            4.0 \n  Peripheral device type: disk\n'
const two = `${heading}  PR generation=0x5
    Key=0x5300010203040506
      All target ports bit clear
      Relative port address: 0x1
      << Reservation holder >>
      scope: LU_SCOPE,  type: Write Exclusive, registrants only
      Transport Id of initiator:
        iSCSI world wide unique port id: iqn.2024-01.org.example:custom,i,0x00023d000001
    Key=0x5300020203040599
      All target ports bit clear
      Relative port address: 0x1
      not reservation holder
      Transport Id of initiator:
        iSCSI world wide unique port id: iqn.2024-01.org.example:warm,i,0x00023d000002
`

describe('persistent reservations', () => {
  it('in full: who is registered, and who of them holds the LUN', () => {
    expect(parseFullStatus(two)).toEqual({
      generation: 5,
      registrations: [
        { key: 0x5300010203040506n, holder: true, initiator: 'iqn.2024-01.org.example:custom,i,0x00023d000001' },
        { key: 0x5300020203040599n, holder: false, initiator: 'iqn.2024-01.org.example:warm,i,0x00023d000002' },
      ],
    })
    expect(parseFullStatus(`${heading}  PR generation=0x7\n  No full status descriptors\n`)).toEqual({ generation: 7, registrations: [] })
  })

  it('of a LUN that tells the holder only', () => {
    expect(parseReservation(`${heading}  PR generation=0x2, Reservation follows:\n    Key=0x5300010203040506\n    scope: LU_SCOPE,  type: Write Exclusive, registrants only\n`)).toEqual({
      generation: 2, registrations: [{ key: 0x5300010203040506n, holder: true }],
    })
    expect(parseReservation(`${heading}  PR generation=0x0, there is NO reservation held\n`)).toEqual({ generation: 0, registrations: [] })
  })

  it('that cannot be read are never taken for none', () => {
    expect(() => parseFullStatus(heading)).toThrow(/something else/)
    expect(() => parseReservation('')).toThrow(/something else/)
    expect(() => parseReservation(`${heading}  PR generation=0x0, something new\n`)).toThrow(/something else/)
  })
})

describe('open descriptors', () => {
  it('name each process once', () => {
    expect(parseOpeners('/proc/12/fd/3\n/proc/12/fd/4\n/proc/345/fd/17\n')).toEqual([12, 345])
    expect(parseOpeners('')).toEqual([])
  })
})
