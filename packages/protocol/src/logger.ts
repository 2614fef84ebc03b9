export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Takes records; how they look and where they go is the app's affair. Never throws, never blocks. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** Drops everything: the default of a library. */
export const silentLogger: Logger = { log: () => undefined }
