/** End-to-end tests run what users run: dist/ is built anew when it is older than the sources. */
import { ensureBuilt } from '../../scripts/build.ts'

export default async (): Promise<void> => {
  await ensureBuilt()
}
