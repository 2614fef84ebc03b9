import { isAppError } from '@daruma/protocol'
import { formatProblem, type Problem } from '@daruma/registry'

/** What ends the command line: a message for a person and the exit code that LUA.md 1.4 gives it. */
export class CommandFailure extends Error {
  /** 1: the app or its environment failed; 2: usage, or an app that is not valid. */
  readonly exitCode: 1 | 2

  constructor(message: string, exitCode: 1 | 2, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CommandFailure'
    this.exitCode = exitCode
  }
}

export function usage(message: string): CommandFailure {
  return new CommandFailure(message, 2)
}

/** All problems of an app, in one message. */
export function invalidApp(problems: readonly Problem[]): CommandFailure {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  return new CommandFailure(
    `${count} in this app:\n${problems.map((problem) => `  ${formatProblem(problem)}`).join('\n')}`,
    2,
  )
}

/** Anything thrown, as a failure: one clear message, never a stack. */
export function failureOf(thrown: unknown): CommandFailure {
  if (thrown instanceof CommandFailure) return thrown
  if (isAppError(thrown) || thrown instanceof Error) return new CommandFailure(thrown.message, 1, thrown)
  return new CommandFailure(String(thrown), 1)
}
