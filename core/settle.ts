/**
 * Like Promise.all, but a failure is told only when all have ended: whoever takes a change back must not do so while another part
 * of it is still being made.
 */
export const settleAll = async (works: readonly Promise<unknown>[]): Promise<void> => {
  const failed = (await Promise.allSettled(works)).find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
