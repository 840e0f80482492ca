/**
 * deploy/k8s without a cluster: every manifest against the schemas of its kind (kubernetes-models and KEDA's), in two ways: as a
 * literal of the kind's type, where an unknown or misspelt field is an error, and by the schema's own validation. Then what no
 * schema knows: that files, names and labels fit together.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { readConfig } from "#base/config/readConfig.ts";
import { tempFolder } from "../../harness/folders.ts";

const ROOT = "deploy/k8s";

type Labels = Readonly<Record<string, string>>;
type Manifest = Readonly<{
  apiVersion: string;
  kind: string;
  metadata?: { name: string };
  // biome-ignore lint/suspicious/noExplicitAny: the schemas say what is in it
  spec?: any;
}>;
type Kustomization = Readonly<{
  resources?: readonly string[];
  components?: readonly string[];
  configMapGenerator?: readonly { name: string; files?: readonly string[]; literals?: readonly string[] }[];
}>;

/** Where the types and the validation of a kind are. Strimzi publishes none for its own. */
const MODELS: Readonly<Record<string, string>> = {
  "v1 ServiceAccount": "kubernetes-models/v1",
  "v1 Service": "kubernetes-models/v1",
  "apps/v1 Deployment": "kubernetes-models/apps/v1",
  "policy/v1 PodDisruptionBudget": "kubernetes-models/policy/v1",
  "networking.k8s.io/v1 NetworkPolicy": "kubernetes-models/networking.k8s.io/v1",
  "autoscaling/v2 HorizontalPodAutoscaler": "kubernetes-models/autoscaling/v2",
  "keda.sh/v1alpha1 ScaledObject": "@kubernetes-models/keda/keda.sh/v1alpha1",
};
const WITHOUT_SCHEMA = /^kafka\.strimzi\.io\//;

const files = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => join(ROOT, name));
const kustomizations = files.filter((file) => file.endsWith("kustomization.yaml"));
const read = (file: string): Kustomization => parse(readFileSync(file, "utf8")) as Kustomization;
const manifests = files
  .filter((file) => !kustomizations.includes(file) && !file.endsWith("ferry.yaml"))
  .flatMap((file) =>
    parseAllDocuments(readFileSync(file, "utf8")).map((one) => ({ file, manifest: one.toJS() as Manifest })),
  );
const modelled = manifests.filter(({ manifest }) => !WITHOUT_SCHEMA.test(manifest.apiVersion));
const of = (kind: string): readonly Manifest[] =>
  manifests.map(({ manifest }) => manifest).filter((manifest) => manifest.kind === kind);

test("every manifest is of a kind that is known here", () => {
  const unknown = modelled.filter(({ manifest }) => !(`${manifest.apiVersion} ${manifest.kind}` in MODELS));
  assert.deepEqual(unknown, []);
  assert.ok(manifests.length >= 10);
});

/** What tsc says of the manifests, each as a literal of its kind's type. */
const typeErrors = (checked: readonly Readonly<{ file: string; manifest: Manifest }>[]): string => {
  using folder = tempFolder();
  const lines = checked.flatMap(({ file, manifest }, at) => {
    const model = resolve("node_modules", MODELS[`${manifest.apiVersion} ${manifest.kind}`] ?? "", "index.js");
    const imported = `import type { I${manifest.kind} as I${at} } from ${JSON.stringify(model)};`;
    return [imported, `export const m${at}: I${at} = ${JSON.stringify(manifest)}; // ${file}`];
  });
  const source = join(folder.path, "manifests.ts");
  writeFileSync(source, lines.join("\n"));
  const flags = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--module",
    "nodenext",
    "--target",
    "esnext",
    "--pretty",
    "false",
  ];
  const { stdout } = spawnSync(
    process.execPath,
    ["node_modules/typescript/bin/tsc", ...flags, "--ignoreConfig", source],
    {
      encoding: "utf8",
    },
  );
  return stdout.trim();
};

test("every field of every manifest is one that its schema knows, of the right type", () => {
  assert.equal(typeErrors(modelled), "");
  const [worker] = modelled.filter(({ manifest }) => manifest.kind === "Deployment");
  assert.ok(worker !== undefined);
  const misspelt = structuredClone(worker.manifest);
  misspelt.spec.template.spec.containers[0].livenesProbe = {};
  assert.match(typeErrors([{ ...worker, manifest: misspelt }]), /livenesProbe/, "a misspelt field is found");
});

test("every manifest passes its schema's own validation", async () => {
  for (const { file, manifest } of modelled) {
    const module = await import(MODELS[`${manifest.apiVersion} ${manifest.kind}`] ?? "");
    assert.doesNotThrow(() => new module[manifest.kind](manifest).validate(), file);
  }
});

test("kustomizations name files that exist, and every file is named by one", () => {
  const named = kustomizations.flatMap((file) => {
    const { resources = [], components = [], configMapGenerator = [] } = read(file);
    const paths = [...resources, ...components, ...configMapGenerator.flatMap((one) => one.files ?? [])];
    return paths.map((path) => relative(".", resolve(dirname(file), path)));
  });
  const known = new Set([...files, ...kustomizations.map((file) => dirname(file))]);
  assert.deepEqual(
    named.filter((path) => !known.has(path)),
    [],
  );
  assert.deepEqual(
    files.filter((file) => !kustomizations.includes(file) && !named.includes(file)),
    [],
  );
});

test("the routes that are mounted are routes", async () => {
  assert.equal((await readConfig(join(ROOT, "base/ferry.yaml"))).routes?.length, 1);
});

test("names and labels fit: selectors select pods, autoscalers scale what exists, references are generated or documented", () => {
  const deployments = of("Deployment");
  const pods = deployments.map(({ spec }) => spec.template.metadata.labels as Labels);
  const selects = (labels: Labels): boolean =>
    pods.some((pod) =>
      Object.entries(labels).every(([name, value]) => pod[name] === value || name.endsWith("/part-of")),
    );
  for (const { spec } of deployments) assert.ok(selects(spec.selector.matchLabels));
  for (const { spec } of of("Service")) assert.ok(selects(spec.selector));
  for (const { spec } of [...of("PodDisruptionBudget")]) assert.ok(selects(spec.selector.matchLabels));
  for (const { spec } of of("NetworkPolicy")) assert.ok(selects(spec.podSelector.matchLabels));
  const names = deployments.map(({ metadata }) => metadata?.name);
  for (const { spec } of [...of("ScaledObject"), ...of("HorizontalPodAutoscaler")])
    assert.ok(names.includes(spec.scaleTargetRef.name));

  const text = JSON.stringify(deployments);
  const generated = kustomizations.flatMap((file) => (read(file).configMapGenerator ?? []).map(({ name }) => name));
  const configMaps = [...text.matchAll(/"(?:configMapRef|configMapKeyRef|configMap)":\{"name":"([^"]+)"/g)].map(
    ([, name]) => name,
  );
  assert.deepEqual(
    [...new Set(configMaps)].filter((name) => !generated.includes(name ?? "")),
    [],
  );
  const secrets = [...text.matchAll(/"(?:secretKeyRef":\{"name|secret":\{"secretName)":"([^"]+)"/g)].map(
    ([, name]) => name,
  );
  const documented = [...readFileSync("docs/57-kubernetes.md", "utf8").matchAll(/^\| `(ferry-[\w-]+)` \|/gm)];
  assert.deepEqual(
    [...new Set(secrets)].sort(),
    documented.map(([, name]) => name).sort(),
    "each Secret is in the table of the docs",
  );
});

test("no secret is in a pod's environment, where a change of it would need a new pod", () => {
  assert.doesNotMatch(JSON.stringify(of("Deployment")), /secretKeyRef|secretRef/);
});

test("each role has a network policy of its own, of what comes in and what goes out", () => {
  const policies = of("NetworkPolicy");
  for (const { metadata } of of("Deployment")) {
    const own = policies.find(({ spec }) => spec.podSelector.matchLabels["app.kubernetes.io/name"] === metadata?.name);
    assert.deepEqual(own?.spec.policyTypes, ["Ingress", "Egress"], metadata?.name);
    assert.ok(own.spec.ingress.every(({ from }: { from?: unknown[] }) => (from ?? []).length > 0));
  }
});

test("pods are probed, limited, without rights, without root and without a writable root file system", () => {
  for (const { metadata, spec } of of("Deployment")) {
    const { containers, securityContext, automountServiceAccountToken } = spec.template.spec;
    assert.equal(securityContext.runAsNonRoot, true, metadata?.name);
    assert.equal(automountServiceAccountToken, false, metadata?.name);
    for (const container of containers) {
      for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) assert.ok(probe in container, probe);
      assert.ok(container.resources.limits.memory);
      assert.equal(container.securityContext.readOnlyRootFilesystem, true);
      assert.equal(container.securityContext.allowPrivilegeEscalation, false);
      assert.deepEqual(container.securityContext.capabilities.drop, ["ALL"]);
    }
  }
});
