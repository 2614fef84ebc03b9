import { AppError } from '@daruma/protocol'
import { sessionOf } from '../session.ts'
import { toData } from '../value.ts'
import { ask, type ActivityExecution } from './requests.ts'
import { invalid, requireName } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'

export const ctxModule: LuaModule = {
  name: 'ctx',
  summary: 'Values that came along with the call.',
  deterministic: true,
  spec: {
    get: fallible((ctx, [key]) => {
      const session = sessionOf(ctx)
      const name = requireName(key, 'ctx.get: key')
      // Keys with "@" are the host's own: actor and scope.
      const value = name.startsWith('@') ? undefined : session.host.context[name]
      if (value === undefined || value === null) {
        throw new AppError('not_found', `no context value "${name}"`, undefined, { retryable: false })
      }
      return [session.revive(value)]
    }),
    activity: (ctx) => {
      const session = sessionOf(ctx)
      const execution = session.host.context['@activity'] as ActivityExecution | undefined
      if (execution === undefined) return [undefined]
      const { idempotencyKey, attempt, workflowId, heartbeat } = execution
      return [
        { idempotency_key: idempotencyKey, attempt, workflow_id: workflowId, heartbeat: session.revive(heartbeat) },
      ]
    },
    heartbeat: fallible((ctx, [details]) => {
      const session = sessionOf(ctx)
      if (session.host.context['@activity'] === undefined) throw invalid('ctx.heartbeat: this program is no activity')
      return ask(session, 'activity.heartbeat', details === undefined ? {} : { details: toData(details) }, () => [true])
    }),
    all: (ctx) => {
      const session = sessionOf(ctx)
      const visible = Object.entries(session.host.context).filter(([key]) => !key.startsWith('@'))
      return [Object.fromEntries(visible.map(([key, value]) => [key, session.revive(value)]))]
    },
  },
  docs: {
    'ctx.get(key) -> value | nil, error': 'Invalid for an empty key, NotFound for a missing one.',
    'ctx.all() -> table': 'All of them.',
    'ctx.activity() -> {idempotency_key, attempt, workflow_id, heartbeat} | nil':
      'Which execution of an activity this is; nil outside of one. The key is the same for every attempt.',
    'ctx.heartbeat(details?) -> true | nil, error':
      'Tells that the activity is alive; the next attempt sees the details.',
  },
}
