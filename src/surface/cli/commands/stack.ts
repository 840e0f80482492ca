import { relative } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { stateFolder } from "#base/config/settings.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { duration } from "#base/flow/figures.ts";
import { print, printAside, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { table } from "#surface/terminal/textTable.ts";
import { followLog } from "#tools/stack/followLog.ts";
import { stackDown, stackReset, stackUp } from "#tools/stack/localStack.ts";
import { readState, serverOf } from "#tools/stack/stackState.ts";
import { type ServerStatus, type StackStatus, stackStatus } from "#tools/stack/stackStatus.ts";
import { choiceFlag } from "../choices.ts";

type Json = Readonly<{ json?: boolean }>;
type UpFlags = Json & Readonly<{ mongoNodes?: 1 | 3; workers?: number; port: Readonly<Record<string, number>> }>;

/** Exit status while a server of the stack does not answer. */
const UNAVAILABLE = 69;

const nodesOf = (text: string): 1 | 3 => {
  if (text === "1" || text === "3") return Number(text) as 1 | 3;
  throw new InvalidArgumentError("1 or 3");
};

const countOf = (text: string): number => {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a number from 0 to 999");
};

const portOf = (text: string, before: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> => {
  const [, name, port] = /^([a-z0-9-]+)=(\d{1,5})$/.exec(text) ?? [];
  if (name === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new InvalidArgumentError("a server's name and a port, such as kafka=9092");
  return { ...before, [name]: Number(port) };
};

/** Progress is not the command's output: with --json it goes to stderr. */
const reporter = ({ json }: Json): ((line: string) => void) => (json ? printAside : print);

/** Shorter where it is below the working directory, as the default state folder is. */
const shortPath = (path: string): string => {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith("..") ? path : fromHere;
};

const row = (server: ServerStatus): readonly string[] => [
  server.name,
  server.state,
  server.pid === null ? "-" : String(server.pid),
  server.upMs === null ? "-" : duration(server.upMs),
  server.kind === "worker" ? `→ ${server.address}` : server.address,
  shortPath(server.log),
];

const showStatus = (status: StackStatus, { json }: Json): void => {
  const allUp = status.servers.length > 0 && status.servers.every((server) => server.state === "up");
  if (!allUp) process.exitCode = UNAVAILABLE;
  if (json) {
    printJson(status, 2);
    return;
  }
  if (status.servers.length === 0) {
    print(`No stack was started in ${status.folder}; \`ferry stack up\` starts one.`);
    return;
  }
  print(table([["NAME", "STATE", "PID", "UP", "ADDRESS", "LOG"], ...status.servers.map(row)]));
  for (const server of status.servers.filter((one) => one.state === "crashed" || one.state === "starting")) {
    const what = server.state === "crashed" ? "ended unexpectedly; the end of its log:" : "runs but does not answer:";
    print(`\n${server.name} ${what}\n    ${(server.detail ?? "").replaceAll("\n", "\n    ")}`);
  }
  if (!allUp) print("\n`ferry stack up` starts what does not run.");
};

const logs = async (name: string | undefined, flags: Readonly<{ follow?: boolean; lines: number }>): Promise<void> => {
  const state = readState(stateFolder());
  const all = (state?.servers ?? []).map((record) => serverOf(record, state?.stateDb ?? ""));
  const servers = name === undefined ? all : all.filter((server) => server.name === name);
  if (servers.length === 0) {
    const names = all.length === 0 ? "no stack was started here" : `there are ${all.map((one) => one.name).join(", ")}`;
    throw new FerryError("FERRY_USAGE", `no server ${name ?? "to show"}: ${names}`);
  }
  const prefix = (server: string): string => (servers.length === 1 ? "" : `${server} | `);
  for (const server of servers) {
    if (servers.length > 1) print(`==> ${server.logFile}`);
    print(server.logTail(flags.lines));
  }
  if (!flags.follow) return;
  await withSignals(async ({ soft }) => {
    const follow = async (server: string, file: string): Promise<void> => {
      for await (const line of followLog(file, soft)) print(prefix(server) + line);
    };
    try {
      await Promise.all(servers.map((server) => follow(server.name, server.logFile)));
    } catch (error) {
      if (!isFerry(error, "FERRY_STOPPED")) throw error;
    }
  });
};

/** `ferry stack`: MongoDB, Kafka, Connect and workers on this machine, without containers. */
export const registerStack = (command: Command): void => {
  command
    .command("up")
    .description("start what does not run yet: two MongoDB, Kafka, Kafka Connect, workers")
    .addOption(
      choiceFlag("--mongo-nodes <n>", "members of each replica set (default: as before, or 1)", ["1", "3"]).argParser(
        nodesOf,
      ),
    )
    .option("--workers <n>", "number of workers (default: as before, or 1)", countOf)
    .option("--port <name=number>", "port of one server; may be repeated", portOf, {})
    .option("--json", "print the state as one JSON value")
    .action(async ({ mongoNodes, workers, port, json }: UpFlags) => {
      const folder = stateFolder();
      const flags = { ...(json === undefined ? {} : { json }) };
      await stackUp({
        folder,
        ...(workers === undefined ? {} : { workers }),
        workerEntry: process.argv[1] ?? "",
        ports: port,
        ...(mongoNodes === undefined ? {} : { mongoNodes }),
        report: reporter(flags),
      });
      showStatus(await stackStatus(folder), flags);
    });

  command
    .command("down")
    .description("stop every server; ports, data and logs stay")
    .option("--json", "print the state as one JSON value")
    .action(async (flags: Json) => {
      await stackDown(stateFolder(), reporter(flags));
      if (flags.json) printJson(await stackStatus(stateFolder()), 2);
    });

  command
    .command("status")
    .description("show names, ports, addresses, pids and logs; exit status 0 only when every server answers")
    .option("--json", "print the state as one JSON value")
    .action(async (flags: Json) => showStatus(await stackStatus(stateFolder()), flags));

  command
    .command("logs")
    .argument("[name]", "only this server")
    .description("print the end of the servers' logs")
    .option("-f, --follow", "follow what is added, until Ctrl-C")
    .option("-n, --lines <n>", "number of lines", countOf, 30)
    .action(logs);

  command
    .command("reset")
    .description("stop every server and remove the stack's data, ports and logs")
    .option("--json", "print the state as one JSON value")
    .action(async (flags: Json) => {
      await stackReset(stateFolder(), reporter(flags));
      if (flags.json) printJson(await stackStatus(stateFolder()), 2);
    });
};
