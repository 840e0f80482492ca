/** The user's run book, typed as it stands there into two interactive shells, each answer held against what it promises. */
import { readFileSync } from "node:fs";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { CTRL_C, ESCAPE, Terminal } from "./terminal.ts";

const PROMPT = /\$ $/;
const MONGOSH = /test> $/;
/** The user's own. */
const CONNECTOR = "deploy/kafka-source-connect.json";

/** A container by name, or by an expression that the shell resolves, as where Swarm chose the name. */
export type Shells = Readonly<{ source: string; target: string }>;

const open = async (container: string): Promise<Terminal> => {
  const shell = new Terminal(`docker exec -it ${container} /bin/bash`);
  await shell.see(PROMPT);
  return shell;
};

/** Types a command until its answer is there: what it asks about is on its way. */
const until = async (shell: Terminal, command: string, answer: RegExp, prompt: RegExp): Promise<void> => {
  await waitFor(
    async () => {
      shell.type(command);
      const text = await shell.see(prompt);
      return answer.test(text) ? { done: true } : { seen: text };
    },
    { what: `${command} to answer ${answer}`, clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
  );
};

const count = async (shell: Terminal, uri: string, expected: number): Promise<void> => {
  shell.type(`mongosh "${uri}"`);
  await shell.see(MONGOSH);
  await until(shell, "db.users.countDocuments()", new RegExp(`\\n${expected}\\n`), MONGOSH);
};

const leave = async (shell: Terminal): Promise<void> => {
  shell.type("exit");
  await shell.see(PROMPT);
};

const typeInVim = async (shell: Terminal, file: string): Promise<void> => {
  const text = readFileSync(file, "utf8").trimEnd();
  shell.type("vim kafka-source-connect.json");
  await shell.see(/kafka-source-connect\.json.*\[New/);
  shell.press(`i${text.replaceAll("\n", "\r")}`);
  await shell.see(/copy_existing/);
  shell.press(ESCAPE);
  shell.type(":wq");
  await shell.see(PROMPT);
};

/**
 * Steps 2 to the end, on a stack that is up.
 * @param connector the file that is typed
 * @throws where the screen does not show what is promised.
 */
export const typeRunBook = async ({ source, target }: Shells, connector = CONNECTOR): Promise<void> => {
  await using sourceShell = await open(source);
  await using targetShell = await open(target);

  sourceShell.type("python3 ./gen_data.py");
  await sourceShell.see(/\nData inserted successfully!\n/);
  await sourceShell.see(PROMPT);
  await count(sourceShell, "mongodb://mongo-source", 100);
  await leave(sourceShell);

  await typeInVim(sourceShell, connector);
  sourceShell.type("cx kafka-source-connect.json");
  await sourceShell.see(/mongo-source-connect is RUNNING/);
  await sourceShell.see(PROMPT);
  const running =
    /source +\| +mongo-source-connect +\| +RUNNING +\| +RUNNING +\| +com\.mongodb\.kafka\.connect\.MongoSourceConnector/;
  await until(sourceShell, "status", running, PROMPT);

  sourceShell.type("kc test.users");
  await sourceShell.see(/% Reached end of topic test\.users \[0\] at offset 100/);
  sourceShell.press(CTRL_C);
  await sourceShell.see(PROMPT);

  await count(targetShell, "mongodb://mongo-target", 100);

  sourceShell.type('mongosh "mongodb://mongo-source"');
  await sourceShell.see(MONGOSH);
  sourceShell.type(`db.users.insertOne({
  "firstname": "duc",
  "lastname": "nguyen",
  "age": 22,
  "email": "itsme@gmail.com",
  "sex": "female"
})`);
  await sourceShell.see(/acknowledged: true/);
  await sourceShell.see(MONGOSH);
  await leave(sourceShell);
  await until(sourceShell, "status", /% Reached end of topic test\.users \[0\] at offset 101/, PROMPT);
  await until(targetShell, "db.users.countDocuments()", /\n101\n/, MONGOSH);
};
