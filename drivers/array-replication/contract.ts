/**
 * The one file that the author of an array driver reads. Implement `ArrayDefinition` with `defineArray` (a descriptor, a strict
 * schema of the connection, and `connect`), answer the sections that your features name (access, iscsi, snapshots, clones, qos,
 * replication), and run the array part of the conformance kit against it (`test/kit/array`): a claimed capability must work.
 * A replicating array also passes the failure matrix (`test/kit/replication`).
 */
export * from '../../core/array/contract.ts'
export { defineArray } from '../../core/array/define-array.ts'
export * from '../../core/array/replication.ts'
export * from '../../core/array/types.ts'
export { asWwid, page83Of, parseWwid, type Wwid } from '../../core/array/wwid.ts'
