declare module "parse-prometheus-text-format" {
  type Family = {
    name: string;
    help: string;
    type: string;
    metrics: { value: string; labels?: Record<string, string> }[];
  };
  const parsePrometheusTextFormat: (text: string) => Family[];
  export = parsePrometheusTextFormat;
}
