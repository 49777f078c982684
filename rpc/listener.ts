/** What the daemon can do with every transport that accepts connections. */

export interface Listener {
  /** Where it is reached, for logs and tests: `unix:<path>` or a URL. */
  readonly address: string
  /** Accepts nobody any more. Connections stay. */
  stop(): void
  /** Writes out what has been answered, closes all connections, and is done when they are closed. */
  end(): Promise<void>
}
