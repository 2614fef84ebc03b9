import { Command, CommanderError } from 'commander'
import { check, list, registryList, registryShow } from './commands/inspect.ts'
import { ps } from './commands/ps.ts'
import { replay } from './commands/replay.ts'
import { isFolder, run } from './commands/run.ts'
import * as schedule from './commands/schedule.ts'
import { test } from './commands/test.ts'
import * as workflow from './commands/workflow.ts'
import { failureOf } from './failures.ts'

const collect = (value: string, all: readonly string[] = []): string[] => [...all, value]

/** Options of a command that loads an app. */
function appOptions(command: Command): Command {
  return command
    .option('--nats <url>', 'keep workflows on this NATS server, for clients that name none')
    .option('--cluster <name>', 'form one system with the other nodes of this name on the same NATS server')
    .option('--node <name>', 'the name of this node; the same name gets its workflows back at once')
    .option('--data <folder>', 'where the node keeps its data (default: .daruma in the app folder)')
    .option('--set <section.path=value>', 'one setting over daruma.yaml; may be repeated', collect)
    .option('-o, --override <ns:entry:field=value>', 'one field of one entry; may be repeated', collect)
    .option('--log-level <level>', 'debug, info, warn, error or silent')
    .option('--json', 'machine-readable output')
}

function workflowOptions(command: Command): Command {
  return command
    .option('--dir <folder>', 'the app folder whose node is meant', '.')
    .option('--data <folder>', 'the data folder of the node, if it is not in the app folder')
    .option('--json', 'machine-readable output')
}

type Act = <A extends unknown[]>(perform: (...args: A) => number | Promise<number>) => (...args: A) => Promise<void>

function scheduleCommands(flow: Command, act: Act): void {
  const command = flow.command('schedule').description('schedules of a running node')
  for (const how of ['create', 'replace'] as const) {
    workflowOptions(
      command
        .command(how)
        .argument('<name>')
        .argument('<type>', 'the workflow entry')
        .argument('[input]', 'JSON, or text'),
    )
      .option('--cron <line>', 'minute hour day month weekday, @daily, or @every 10m; may be repeated', collect)
      .option('--zone <name>', 'time zone of the lines, such as Europe/Berlin', 'UTC')
      .option('--overlap <policy>', 'while the one before runs: skip, buffer_one or allow_all', 'skip')
      .option('--missed <policy>', 'ticks that passed while no node ran: skip, one or all', 'one')
      .option('--host <id>', 'the worker entry, where there are several')
      .option('--paused', 'do not start anything yet')
      .action(
        act((name: string, type: string, input: string | undefined, flags: schedule.ScheduleFlags) =>
          schedule.put(how, name, type, input, flags),
        ),
      )
  }
  workflowOptions(command.command('list')).action(act((flags: workflow.WorkflowFlags) => schedule.list(flags)))
  workflowOptions(command.command('show').argument('<name>')).action(
    act((name: string, flags: workflow.WorkflowFlags) => schedule.show(name, flags)),
  )
  for (const how of ['pause', 'resume', 'trigger', 'delete'] as const) {
    workflowOptions(command.command(how).argument('<name>').argument('[note]')).action(
      act((name: string, note: string | undefined, flags: workflow.WorkflowFlags) =>
        schedule.change(how, name, note, flags),
      ),
    )
  }
  workflowOptions(
    command
      .command('backfill')
      .argument('<name>')
      .argument('<from>', 'a date, or a time ago such as 2h')
      .argument('<to>'),
  )
    .description('start the workflow for each tick of a span of the past; a tick that ran is not run again')
    .action(
      act((name: string, from: string, to: string, flags: workflow.WorkflowFlags) =>
        schedule.backfill(name, from, to, flags),
      ),
    )
}

/** Options of `run` that take the next word. */
const valued = new Set([
  '--nats',
  '--cluster',
  '--node',
  '--data',
  '--set',
  '-o',
  '--override',
  '--log-level',
  '--exec',
  '--host',
])

/** What stands behind the name of an app's command is that command's own, dashes and all. */
function behindCommand(argv: readonly string[]): string[] {
  if (argv[0] !== 'run') return [...argv]
  for (let at = 1, words = 0; at < argv.length; at++) {
    const word = argv[at]!
    if (word === '--') break
    if (word.startsWith('-')) {
      if (valued.has(word)) at++
    } else if (words++ > 0 || !isFolder(word)) {
      return [...argv.slice(0, at), '--', ...argv.slice(at)]
    }
  }
  return [...argv]
}

/** Runs one command line. Resolves with the exit code; a failure is one clear message on standard error. */
export async function main(argv: readonly string[]): Promise<number> {
  let code = 0
  const act =
    <A extends unknown[]>(perform: (...args: A) => number | Promise<number>) =>
    async (...args: A): Promise<void> => {
      code = await perform(...args)
    }
  const program = new Command('daruma').description(
    'Runs app folders of YAML and Lua: processes under supervision, durable workflows',
  )
  program.exitOverride().showHelpAfterError()

  appOptions(program.command('run'))
    .description('boot an app and stay up, or run one of its commands')
    .argument('[words...]', 'the app folder (default: here), then a command of the app and its arguments')
    .option('--exec <ns:entry>', 'run this one entry to its end')
    .option('--host <id>', 'the host for --exec')
    .option('--watch', 'apply changed files while the node runs')
    .action(act((words: string[], flags: object) => run(words, flags)))

  appOptions(program.command('check').argument('[dir]', 'the app folder', '.'))
    .description('load and compile everything, run nothing')
    .action(act((dir: string, flags: object) => check(dir, flags)))
  appOptions(program.command('list').argument('[dir]', 'the app folder', '.'))
    .description('the commands of an app')
    .action(act((dir: string, flags: object) => list(dir, flags)))
  appOptions(program.command('test').argument('[dir]', 'the app folder', '.'))
    .description('run the functions whose meta.type is "test"')
    .action(act((dir: string, flags: object) => test(dir, flags)))

  const registry = program.command('registry').description('the entries of an app')
  appOptions(registry.command('list').argument('[dir]', 'the app folder', '.'))
    .option('--kind <kind>', 'only entries of this kind')
    .action(act((dir: string, flags: object) => registryList(dir, flags)))
  appOptions(
    registry.command('show').argument('<id>', 'namespace:name').argument('[dir]', 'the app folder', '.'),
  ).action(act((id: string, dir: string, flags: object) => registryShow(dir, id, flags)))

  const flow = program.command('workflow').description('workflows of a running node')
  workflowOptions(
    flow.command('start').argument('<type>', 'the workflow entry').argument('[input...]', 'arguments: JSON, or text'),
  )
    .option('--id <id>', 'the workflow id; one that runs under it is met')
    .option('--host <id>', 'the worker entry, where there are several')
    .option('--wait', 'wait for the result and print it')
    .action(act((type: string, input: string[], flags: workflow.WorkflowFlags) => workflow.start(type, input, flags)))
  workflowOptions(flow.command('list'))
    .option('--status <status>', 'running, completed, failed, canceled, terminated, timed_out or stuck')
    .option('--type <type>', 'only this workflow entry')
    .option('--queue <name>', 'only this task queue')
    .option('--id <prefix>', 'only ids that begin with it')
    .option('--since <instant>', 'started at or after it: a date, or a time ago such as 2h')
    .option('--until <instant>', 'started before it')
    .option('--attr <name=value>', 'only with this search attribute; may be repeated', collect)
    .action(act((flags: workflow.ListFlags) => workflow.list(flags)))
  workflowOptions(flow.command('show').argument('<id>')).action(
    act((id: string, flags: workflow.WorkflowFlags) => workflow.show(id, flags)),
  )
  workflowOptions(
    flow.command('signal').argument('<id>').argument('<topic>').argument('[payload...]', 'values: JSON, or text'),
  ).action(
    act((id: string, topic: string, payload: string[], flags: workflow.WorkflowFlags) =>
      workflow.signal(id, topic, payload, flags),
    ),
  )
  workflowOptions(
    flow.command('query').argument('<id>').argument('<name>').argument('[args...]', 'values: JSON, or text'),
  ).action(
    act((id: string, name: string, args: string[], flags: workflow.WorkflowFlags) =>
      workflow.query(id, name, args, flags),
    ),
  )
  workflowOptions(
    flow.command('update').argument('<id>').argument('<name>').argument('[args...]', 'values: JSON, or text'),
  )
    .description('ask a workflow for a change and print what its handler answers')
    .option('--update-id <id>', 'the same id again is the same update')
    .option('--accepted', 'do not wait for more than its acceptance')
    .action(
      act((id: string, name: string, args: string[], flags: workflow.WorkflowFlags) =>
        workflow.update(id, name, args, flags),
      ),
    )
  for (const how of ['cancel', 'terminate'] as const) {
    workflowOptions(flow.command(how).argument('<id>').argument('[reason]')).action(
      act((id: string, reason: string | undefined, flags: workflow.WorkflowFlags) =>
        workflow.end(how, id, reason, flags),
      ),
    )
  }
  workflowOptions(flow.command('retry').argument('<id>'))
    .description('try a stuck workflow again')
    .action(act((id: string, flags: workflow.WorkflowFlags) => workflow.end('retry', id, undefined, flags)))
  appOptions(
    flow
      .command('replay')
      .argument('<dir>', 'the app folder with the code')
      .argument('<journals...>', 'files that `history --json` wrote, or folders of them'),
  )
    .description('check journals against current code; exit code 1 when one does not match')
    .action(act((dir: string, places: string[], flags: object) => replay(dir, places, flags)))
  scheduleCommands(flow, act)
  workflowOptions(flow.command('history').argument('<id>')).action(
    act((id: string, flags: workflow.WorkflowFlags) => workflow.history(id, flags)),
  )

  workflowOptions(program.command('ps'))
    .description('services, processes and workflow hosts of a running node')
    .action(act((flags: workflow.WorkflowFlags) => ps(flags)))

  try {
    await program.parseAsync(behindCommand(argv), { from: 'user' })
    return code
  } catch (thrown) {
    // Commander has said what is wrong, or shown the help that was asked for.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    const failure = failureOf(thrown)
    process.stderr.write(`daruma: ${failure.message}\n`)
    return failure.exitCode
  }
}
