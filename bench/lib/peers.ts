import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { namespaces, type Pair, pause, type Running, running } from "./pair.ts";
import { peakMb } from "./processes.ts";

/** Another tool: the process that copies, and a command that starts it if it waits for one. */
export type Peer = Readonly<{ name: string; serve: readonly string[]; begin: readonly string[] | undefined }>;

/** A tool that is missing or failed: its sentence says all there is to say. */
export class PeerError extends Error {}

/** How often and for how long a tool that has just been started is asked to begin, ms. */
const BEGIN_EVERY_MS = 100;
const BEGIN_LIMIT_MS = 15_000;

/**
 * What to type where only a path is given. PCSM serves first and is started by a second call (its manual, "Use Percona
 * ClusterSync for MongoDB"); the flags have not been tried here, where no such tool is.
 */
const KNOWN: Readonly<Record<string, (path: string) => Pick<Peer, "serve" | "begin">>> = {
  pcsm: (path) => ({
    serve: [path, "--source", "{source}", "--target", "{target}"],
    begin: [path, "start", "--include-namespaces={ns}"],
  }),
  // Ends after one check with this flag; the flags have not been tried here, where no such tool is.
  mv: (path) => ({
    serve: [path, "--srcURI", "{source}", "--dstURI", "{target}", "--metaURI", "{target}", "--clean", "--start"].concat(
      ["--srcNamespace", "{ns}", "--dstNamespace", "{ns}", "--verifyAll=false"],
    ),
    begin: undefined,
  }),
};

const requireProgram = (name: string, program: string): void => {
  if (!program.includes("/")) return; // looked for on PATH when it is started
  try {
    accessSync(program, constants.X_OK);
  } catch (error) {
    throw new PeerError(`--peer ${name}: ${program} is not a program that can be run`, { cause: error });
  }
};

/** `NAME=PATH` of a tool that is known here, or `NAME=COMMAND {source} {target} {ns}`, behind ` ; ` what sets it going. */
export const parsePeer = (text: string): Peer => {
  const [name = "", command = ""] = text.split(/=(.*)/s);
  const [serve = [], begin] = command.split(" ; ").map((part) => part.split(" ").filter((word) => word !== ""));
  const [program] = serve;
  if (name === "" || program === undefined) throw new PeerError(`--peer ${text}: write NAME=PATH or NAME=COMMAND`);
  requireProgram(name, program);
  if (serve.length > 1) return { name, serve, begin };
  const known = KNOWN[name];
  if (known === undefined)
    throw new PeerError(
      `--peer ${name}: how it is called is not known; write '${name}=${program} … {source} … {target} … {ns}'`,
    );
  return { name, ...known(program) };
};

const fill = (parts: readonly string[], pair: Pair, colls: readonly string[]): string[] => {
  const words: Readonly<Record<string, string>> = {
    "{source}": pair.source.uri,
    "{target}": pair.target.uri,
    "{ns}": namespaces(colls),
  };
  return parts.map((part) => part.replace(/\{(?:source|target|ns)\}/g, (word) => words[word] ?? word));
};

/**
 * A tool that verifies one collection and then ends: how long it took. One that keeps running needs a script around it.
 * @throws one sentence where it is missing
 */
export const timePeer = async (
  peer: Peer,
  pair: Pair,
  coll: string,
  documents: number,
): Promise<{ documents: number; perSecond: number; wrong: number; rssMb: number }> => {
  const [program = "", ...args] = fill(peer.serve, pair, [coll]);
  const began = performance.now();
  await using run = running(program, args);
  let rssMb = 0;
  const sampling = setInterval(() => {
    if (run.child.exitCode === null) rssMb = Math.max(rssMb, peakMb(run.child.pid));
  }, 200);
  const [code] = await once(run.child, "exit").finally(() => clearInterval(sampling));
  if (code !== 0) throw new PeerError(`--peer ${peer.name} ended with ${code}`);
  return { documents, perSecond: (documents * 1000) / (performance.now() - began), wrong: 0, rssMb };
};

const failed = (child: ChildProcess, what: string): Promise<never> =>
  new Promise((_, reject) => {
    child.once("error", (error) =>
      reject(new PeerError(`${what} cannot be started: ${error.message}`, { cause: error })),
    );
    child.once("exit", (code, signal) =>
      reject(new PeerError(`${what} ended (${code ?? signal}) before the copy did`)),
    );
  });

/** When the order was given that was obeyed. */
const begins = async ([program = "", ...args]: readonly string[], what: string): Promise<number> => {
  const deadline = Date.now() + BEGIN_LIMIT_MS;
  for (;;) {
    const orderedAt = performance.now();
    const child = spawn(program, args, { stdio: "ignore" });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code === 0) return orderedAt;
    if (Date.now() > deadline)
      throw new PeerError(`${what} did not begin: ${program} ${args.join(" ")} ended with ${code}`);
    await pause(BEGIN_EVERY_MS);
  }
};

/**
 * Runs `work` while the tool copies some collections.
 * @param work is told when the command was given; of a tool that serves first, when it was told to begin
 * @throws one sentence when the tool is missing or ends early
 */
export const withPeer = async <T>(
  peer: Peer,
  pair: Pair,
  colls: readonly string[],
  work: (run: Running, orderedAt: number) => Promise<T>,
): Promise<T> => {
  const what = `--peer ${peer.name}`;
  const [program = "", ...args] = fill(peer.serve, pair, colls);
  const startedAt = performance.now();
  await using run = running(program, args);
  const failure = failed(run.child, what);
  const working = async (): Promise<T> =>
    work(run, peer.begin === undefined ? startedAt : await begins(fill(peer.begin, pair, colls), what));
  return await Promise.race([working(), failure]);
};
