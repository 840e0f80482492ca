import type { Command } from "commander";

/**
 * One command line for each command, which its help shows: what most people want of it. A test parses each with the command's own
 * parser, and looks for one of every command.
 */
export const EXAMPLES: Readonly<Record<string, string>> = {
  audit: "ferry audit --limit 20",
  capture: "ferry capture --include 'shop.*' --kafka broker:9092",
  check: "ferry check --ns shop.users",
  completion: "source <(ferry completion bash)",
  "config check": "ferry config check --config ferry.yaml",
  "config schema": "ferry config schema",
  conflicts: "ferry conflicts --winner target",
  control: "ferry control --listen 127.0.0.1:8900",
  cutover: "ferry cutover --rehearse",
  cx: "ferry cx deploy/recommended-connector.json",
  del: "ferry del mongo-source-connect",
  demo: "ferry demo --keep",
  "dlq discard": "ferry dlq discard shop.users/0/1234",
  "dlq export": "ferry dlq export --out letters.jsonl",
  "dlq list": "ferry dlq list --route shop.users",
  "dlq replay": "ferry dlq replay --all --wait-seconds 120",
  "dlq show": "ferry dlq show shop.users/0/1234",
  drift: "ferry drift --since 2026-01-31T00:00:00Z",
  "drift decide": "ferry drift decide shop.users sex drop",
  "filter try": "ferry filter try users --sample 50",
  finalize: "ferry finalize",
  "gen-data": "ferry gen-data --count 1000 --rate 50",
  kc: "ferry kc shop.users --end",
  pause: "ferry pause",
  receipt: "ferry receipt --out receipt.json",
  "receipt check": "ferry receipt check receipt.json",
  repair: "ferry repair --apply",
  resume: "ferry resume",
  throttle: "ferry throttle --documents-per-second 5000",
  rollback: "ferry rollback --max-pause 2s",
  run: "ferry run --include 'shop.*' --exclude shop.sessions",
  "stack down": "ferry stack down",
  "stack logs": "ferry stack logs kafka-connect --follow",
  "stack reset": "ferry stack reset",
  "stack status": "ferry stack status",
  "stack up": "ferry stack up --workers 2",
  status: "ferry status --watch",
  "structure approve": "ferry structure approve shop.users/0/1234",
  "structure build": "ferry structure build --include 'shop.*'",
  "structure finalize": "ferry structure finalize",
  "structure plan": "ferry structure plan --include 'shop.*'",
  "structure status": "ferry structure status",
  "token create": "ferry token create --role viewer --expires 12h",
  "token list": "ferry token list",
  "token revoke": "ferry token revoke 0f5f3a2b9c11",
  verify: "ferry verify --include 'shop.*'",
  worker: "ferry worker --topics shop.users --slices 4",
};

/** Shows the example of a command, and those of its subcommands, at the end of their help. */
export const withExamples = (command: Command, path: string): void => {
  const example = EXAMPLES[path];
  if (example !== undefined) command.addHelpText("after", `\nExample:\n  $ ${example}`);
  for (const child of command.commands) withExamples(child, `${path} ${child.name()}`);
};
